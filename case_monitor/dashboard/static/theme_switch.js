// auto -> light -> dark -> auto; remembered, and told to charts.
const CHOICES = ["auto", "light", "dark"];

export function themeSwitch(button) {
  const root = document.documentElement;
  const show = (choice) => {
    button.textContent = `Theme: ${choice}`;
    if (choice === "auto") delete root.dataset.theme;
    else root.dataset.theme = choice;
  };
  show(root.dataset.theme ?? "auto");
  button.addEventListener("click", () => {
    const choice = CHOICES[(CHOICES.indexOf(root.dataset.theme ?? "auto") + 1) % CHOICES.length];
    show(choice);
    try {
      if (choice === "auto") localStorage.removeItem("case-monitor-theme");
      else localStorage.setItem("case-monitor-theme", choice);
    } catch {
      // Not remembered, then.
    }
    dispatchEvent(new Event("themechange"));
  });
  // Paper is white.
  let onScreen;
  addEventListener("beforeprint", () => {
    onScreen = root.dataset.theme;
    root.dataset.theme = "light";
  });
  addEventListener("afterprint", () => {
    if (onScreen) root.dataset.theme = onScreen;
    else delete root.dataset.theme;
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dispatchEvent(new Event("themechange")));
}
