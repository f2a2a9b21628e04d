// Cancel one of two calls of one function by @gradio/client, and see what becomes of the other.
// `node cancel_one.mjs http://127.0.0.1:7860`, against tests/servers/gradio_app.py; takes 8 seconds.

import { Client } from "@gradio/client";

const url = process.argv[2];
const app = await Client.connect(url, { events: ["data", "status"] });
const unwanted = app.submit("/ticker_async", [1000, 0.05, "js-unwanted"]);
const wanted = app.submit("/ticker_async", [40, 0.05, "js-wanted"]);

async function stopAfterThree() {
  let seen = 0;
  for await (const message of unwanted) {
    if (message.type === "data" && ++seen === 3) {
      await unwanted.cancel();
      return;
    }
  }
}

async function readToTheEnd() {
  for await (const message of wanted) {
    if (message.type === "status" && message.stage !== "generating") {
      console.log("wanted:", message.stage);
    }
  }
  return "the wanted call ended";
}

const reading = readToTheEnd();
await stopAfterThree();
// It takes 2 seconds by itself.
const late = new Promise((resolve) => setTimeout(resolve, 8000, "the wanted call never ended"));
console.log(await Promise.race([reading, late]));
const other = await Client.connect(url);
const record = await other.predict("/probe", ["js-wanted"]);
console.log("what the server did of it:", JSON.stringify(record.data[0]));
process.exit(0);
