// What scripts get from outside: from Python, from Gradio, from plotly.js.

/** What page.py says of the page; head.js adds where it is. */
interface LabConfig {
  version: string;     // a hash of all that the assets' address serves
  modules: string[];   // paths of those that most visits need
  languages: string[];
  plotly: string;      // its version
  without_plotly: string[];  // tabs that draw nothing with it
  palette: string[];   // 256 colours, "#rrggbb", by place in the data
  heat: [number, string][];  // a colour scale from good to bad: meanings, or shades
  wire: Record<string, number>;     // kinds of chunks by name
  root: string;
  assets: string;
  language: string;
  mount: (part: string, element: HTMLElement, props: Props, gradio: Gradio) => Promise<void>;
}

/** The constants of a part, and its value. */
interface Props {
  name: string;
  value: string;
  clock?: string;
  bar?: boolean;
  shots?: Axis;
  choose?: boolean;
  hint?: string;
  height?: number;
  first?: boolean;
}

interface Gradio {
  watch: (prop: string, act: () => void) => void;
  trigger: (event: string) => void;
}

/** What a stream runs along, from 0 to last; name and ends are keys of the page's words. */
interface Axis {
  name: string;
  last: number;
  ends: [string, string];
}

/** The first words of a stream, and what came later of the same kind. */
interface Header {
  n: number;
  axis: Axis;
  shots?: Axis;  // a second one
  unit: number;  // of fixed point
  view: number;  // half the width of the plane
  mode: string;
  direction: "forward" | "reverse";
  badge: string;
  title: string[];
  layers: string[];
  times?: number[];
  alpha?: number[];
  sigma?: number[];
  as_it_is?: boolean;
  metrics?: {name: string, value: number | null}[];
  per_shot?: {name: string, value: number[]}[];
  series?: {name: string, value: number[]};
  charts?: Record<string, [number[], number[]][]>;
  done?: boolean;
  queued?: number;
  message?: [string, Record<string, any>?];
  at?: number;    // of a training: its step,
  left?: number;  // and seconds until its end
  shape?: [number, number];  // of one picture
  labels?: string[];
  taken?: string[];
  rows?: string[];
  views?: string[];
  side?: number;
  start?: number;
  error?: Record<string, number[]>;
  residual?: number;
}

interface DocumentEventMap {
  "lab-go": CustomEvent<string>;
  "lab-layers": CustomEvent<{clock: object, layers: Set<string>}>;
  "lab-follow": CustomEvent<{clock: object, image: number}>;
}

interface Window {
  lab_config: LabConfig;
  lab: object;
  gradio_config?: {root?: string};
}

declare const Plotly: any;
