// What every page needs: times in the viewer's zone, the theme switch, who is logged in, charts where there are any.
import { showSession } from "./session.js";
import { showTimes } from "./times.js";
import { themeSwitch } from "./theme_switch.js";

showTimes(document);
themeSwitch(document.querySelector("[data-theme-switch]"));
showSession(document.querySelector("[data-session]"));
if (document.querySelector("[data-chart]")) {
  const { drawCharts } = await import("./charts.js");
  drawCharts(document);
}
