// The only script in the page itself, inline in <head>: asks for modules, words and style at once, not in a chain.
(config => {
  const {root = location.origin + location.pathname} = window.gradio_config ?? {};
  config.root = root.replace(/\/$/, "");  // where the page is, behind whatever proxy
  config.assets = `${config.root}/lab/assets-${config.version}`;
  const mine = navigator.language.slice(0, 2);
  config.language = config.languages.find(language => language.startsWith(mine)) ?? "en";

  /** @param {string} path @param {Partial<HTMLLinkElement>} settings */
  const link = (path, settings) => {
    const href = `${config.assets}/${path}`;
    document.head.append(Object.assign(document.createElement("link"), {href, ...settings}));
  };
  const styled = new Promise(done => link("lab.css", {rel: "stylesheet", onload: done, onerror: done}));
  link(`i18n/${config.language}.json`, {rel: "preload", as: "fetch", crossOrigin: "anonymous"});
  for (const path of config.modules) link(path, {rel: "modulepreload"});

  config.mount = async (part, element, props, gradio) => {
    const [{mount}] = await Promise.all([import(`${config.assets}/js/parts/${part}.js`), styled]);
    mount(element, props, gradio);
  };
})(window.lab_config);
