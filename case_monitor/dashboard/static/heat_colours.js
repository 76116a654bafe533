// From a share to a colour of the page's heat scale, in the current theme.
const STEPS = 256;
const FAINTEST = 0.16; // so that a single image is seen as well

export class HeatColours {
  constructor(property) {
    const stops = [0, 1, 2, 3, 4].map((i) => rgb(property(`--heat-${i}`)));
    this.none = css(stops[0]);
    this.fills = Array.from({ length: STEPS }, (_, i) => between(stops, i / (STEPS - 1)));
    this.inks = this.fills.map(readableOn);
    this.fills = this.fills.map(css);
  }

  fill(share) { return share > 0 ? this.fills[step(share)] : this.none; }
  ink(share) { return this.inks[step(share)]; }
}

// By the square root: confusions are rare, and the diagonal is not.
function step(share) {
  return Math.round((FAINTEST + (1 - FAINTEST) * Math.sqrt(Math.min(share, 1))) * (STEPS - 1));
}

function between(stops, at) {
  const i = Math.min(Math.floor(at * (stops.length - 1)), stops.length - 2);
  const part = at * (stops.length - 1) - i;
  return stops[i].map((value, channel) => value + (stops[i + 1][channel] - value) * part);
}

function rgb(colour) {
  const context = document.createElement("canvas").getContext("2d");
  context.fillStyle = colour;
  return [1, 3, 5].map((start) => Number.parseInt(context.fillStyle.slice(start, start + 2), 16));
}

function css(colour) { return `rgb(${colour.map(Math.round).join(" ")})`; }

// Black or white, whichever has the greater contrast (WCAG 2).
function readableOn(colour) {
  const [r, g, b] = colour.map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  const luminance = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  return 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 ? "#ffffff" : "#000000";
}
