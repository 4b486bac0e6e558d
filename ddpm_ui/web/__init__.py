"""The building blocks of the page: parts that draw themselves in the browser, controls, texts."""
