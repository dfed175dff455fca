/** The part of the page that is loaded when the first case is opened. */
export { MaskStore } from "./mask_store";
export { picturesOf } from "./pictures";
export { Stage } from "./stage";
