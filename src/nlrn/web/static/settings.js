// The form on the right: what a person asks for.

const byId = (id) => document.getElementById(id);

export class Settings {
  constructor(changed) {
    this.form = byId("settings");
    this.about = null;
    this.page = null;
    this.form.addEventListener("input", (event) => {
      if (event.target.id === "sigma") byId("estimated").checked = false;
      if (event.target.name === "task") this.#taskChanged();
      this.#say();
      if (event.target.closest("#download") === null) changed();
    });
  }

  /** What the server offers. */
  offer(about) {
    this.about = about;
    this.#taskChanged();
    this.#say();
  }

  /** The page of the picture that is looked at. */
  setPage(page) {
    this.page = page;
    this.#say();
  }

  get task() {
    return this.form.elements.task.value;
  }

  order() {
    const common = { task: this.task, model: byId("model").value || null, ensemble: byId("ensemble").checked };
    if (this.task === "sr") return { ...common, scale: Number(this.form.elements.scale.value) };
    const sigma = byId("estimated").checked ? null : Number(byId("sigma").value);
    return { ...common, sigma, strength: Number(byId("strength").value) / 100 };
  }

  /** The model that works on the picture that is looked at. */
  model(order = this.order()) {
    if (order.model === null && order.task === "denoise" && order.sigma === null && this.page) return this.page.serves;
    return order.model ?? this.about?.defaults[order.task][this.page?.gray ? "gray" : "colour"];
  }

  models(task = this.task) {
    return this.about?.models.filter((model) => model.task === task) ?? [];
  }

  #taskChanged() {
    const denoise = this.task === "denoise";
    for (const element of this.form.querySelectorAll(".for-denoise")) element.hidden = !denoise;
    for (const element of this.form.querySelectorAll(".for-sr")) element.hidden = denoise;
    const options = this.models().map((model) => new Option(model.name, model.name));
    byId("model").replaceChildren(new Option(this.about ? "the one that suits" : "loading…", ""), ...options);
  }

  #say() {
    byId("strength-said").textContent = `${byId("strength").value} %`;
    byId("strength").setAttribute("aria-valuetext", `${byId("strength").value} percent`);
    const estimated = byId("estimated").checked ? this.page?.level ?? 0 : null;
    if (estimated !== null) byId("sigma").value = estimated;
    byId("sigma-said").textContent = `${(estimated ?? Number(byId("sigma").value)).toFixed(1)} of 255`;
    byId("go").textContent = this.task === "denoise" ? "Remove noise" : "Enlarge";
    const name = this.model();
    const model = this.about?.models.find((one) => one.name === name);
    const chosen = byId("model").value === "" ? `${name}: ` : "";
    byId("model-said").textContent = model ? `${chosen}${model.good} ${model.parameters.toLocaleString("en")} parameters.` : "";
  }
}

/** Whether two orders, one of them from the server, mean the same. */
export function sameOrder(ours, theirs) {
  const plain = ({ task, model, sigma, strength, scale, ensemble }) =>
    task === "sr" ? [task, model, scale, ensemble] : [task, model, sigma, strength, ensemble];
  return JSON.stringify(plain(ours)) === JSON.stringify(plain(theirs));
}
