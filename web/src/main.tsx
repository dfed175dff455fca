import { render } from "preact";
import { App } from "./app";
import { find } from "./session";

void find();
render(<App />, document.getElementById("page") as HTMLElement);
