// Mutes end at a time of the viewer's zone: what is typed becomes UTC when the form is sent. And what was done, or what
// was wrong, is where a screen reader goes on.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

for (const form of document.querySelectorAll("[data-mute]")) {
  const until = form.elements.until;
  form.querySelector("[data-zone-of-form]").textContent = `(${zone})`;
  until.min = typed(new Date(Date.now() + 60_000));
  form.addEventListener("formdata", ({ formData }) => {
    const moment = new Date(until.value);
    if (!Number.isNaN(moment.getTime())) formData.set("until_utc", moment.toISOString());
  });
}
document.querySelector("[data-focus]")?.focus();

function typed(moment) {
  const day = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
  return `${day}T${two(moment.getHours())}:${two(moment.getMinutes())}`;
}

function two(number) { return String(number).padStart(2, "0"); }
