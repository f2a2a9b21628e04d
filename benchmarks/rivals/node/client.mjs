// @gradio/client, Gradio's own client for JavaScript, on Node.
// `node client.mjs SCENARIO '{"url": ...}'` prints one line of JSON, as the other clients do.

import { openAsBlob, readFileSync, statSync, writeFileSync, writeSync } from "node:fs";
import { basename } from "node:path";
import { performance } from "node:perf_hooks";

const importStart = performance.now();
const { Client, handle_file } = await import("@gradio/client");
const importSeconds = (performance.now() - importStart) / 1000;

function toldBySystem(name) {
  try {
    const line = readFileSync("/proc/self/status", "ascii")
      .split("\n")
      .find((line) => line.startsWith(`${name}:`));
    return line === undefined ? null : parseInt(line.split(/\s+/)[1]);
  } catch {
    return null;
  }
}

// Measures from when it is made to `stop`; see _measure.py.
class Meter {
  constructor() {
    globalThis.gc?.();
    try {
      writeFileSync("/proc/self/clear_refs", "5");
    } catch {
      // This system keeps no peak that could begin anew.
    }
    this.resident = toldBySystem("VmRSS");
    this.cpu = process.cpuUsage();
    this.start = performance.now();
  }

  stop() {
    const wall = (performance.now() - this.start) / 1000;
    const { user, system } = process.cpuUsage(this.cpu);
    const peak = toldBySystem("VmHWM");
    return {
      wall,
      cpu: (user + system) / 1e6,
      peak_kib: peak,
      grown_kib: peak === null ? null : peak - this.resident,
      threads: toldBySystem("Threads"),
    };
  }
}

// Seconds of the clock that Python's time.monotonic() and the servers read, on Linux.
const monotonic = () => Number(process.hrtime.bigint()) / 1e9;
const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
const connect = (url) => Client.connect(url, { events: ["data", "status"] });
const ask = async (client, fn, value) => (await client.predict(`/${fn}`, [value])).data[0];

// The outputs of a call, as they come.
async function* outputs(submission) {
  for await (const message of submission) {
    if (message.type === "data") yield message.data[0];
    if (message.type === "status" && message.stage === "error") throw new Error(message.message);
    if (message.type === "status" && message.stage === "complete") return;
  }
}

const scenarios = {
  async import() {
    const path = new URL("./node_modules/@gradio/client/package.json", import.meta.url);
    return { wall: importSeconds, version: JSON.parse(readFileSync(path)).version };
  },

  async construct({ url, rounds }) {
    const latencies = [];
    const meter = new Meter();
    for (let i = 0; i < rounds; i++) {
      const start = performance.now();
      const client = await connect(url);
      latencies.push((performance.now() - start) / 1000);
      client.close();
    }
    return { ...meter.stop(), latencies };
  },

  async sequential({ url, calls }) {
    const client = await connect(url);
    for (let i = 0; i < 10; i++) await ask(client, "echo", "warm");
    const latencies = [];
    let lost = 0;
    const meter = new Meter();
    for (let i = 0; i < calls; i++) {
      const start = performance.now();
      const answer = await ask(client, "echo", `call ${i}`);
      latencies.push((performance.now() - start) / 1000);
      lost += answer !== `call ${i}`;
    }
    return { ...meter.stop(), latencies, lost };
  },

  async many({ url, calls, fn = "echo" }) {
    const client = await connect(url);
    await ask(client, "echo", "warm");
    const failures = {};
    let right = 0;
    let measured = {};
    const meter = new Meter();
    const result = () => ({ ...measured, lost: calls - right, failures });
    // Calls that are never answered leave Node with nothing to do, and it ends here.
    process.on("exit", () => {
      if (measured.wall === undefined) {
        measured = meter.stop();
        failures["never answered"] = calls - right;
        writeSync(1, `${JSON.stringify(result())}\n`);
        process.exitCode = 0;
      }
    });
    await Promise.all(
      Array.from({ length: calls }, (_, i) =>
        ask(client, fn, `call ${i}`).then(
          (answer) => (right += answer === `call ${i}`),
          (error) => {
            const name = String(error?.message ?? error).slice(0, 80);
            failures[name] = (failures[name] ?? 0) + 1;
          },
        ),
      ),
    );
    measured = meter.stop();
    return result();
  },

  async stream({ url, fn, n }) {
    const client = await connect(url);
    await ask(client, fn, 2);
    let seen = 0;
    let output;
    const meter = new Meter();
    for await (output of outputs(client.submit(`/${fn}`, [n]))) seen++;
    const measured = meter.stop();
    if (Array.isArray(output)) output = output.at(-1).content.at(-1).text;
    return { ...measured, seen, lost: Number(!output.endsWith(`word${n - 1} `)) };
  },

  // It raises nothing; `cancel()` is done when its promise is.
  async cancel({ url, rounds }) {
    const client = await connect(url);
    const raises = [];
    const stops = [];
    for (let i = 0; i < rounds; i++) {
      const key = `node-${process.hrtime.bigint()}-${i}`;
      const submission = client.submit("/endless", [key]);
      let seen = 0;
      let start;
      for await (const _ of outputs(submission)) {
        if (++seen < 3) continue;
        start = monotonic();
        await submission.cancel();
        raises.push(monotonic() - start);
        break;
      }
      let moment;
      while ((moment = await ask(client, "stopped", key)) === null) await sleep(0.005);
      stops.push(moment - start);
    }
    return { raises, stops, lost: 0 };
  },

  async upload({ url, path }) {
    const client = await connect(url);
    await ask(client, "echo", "warm");
    const meter = new Meter();
    const file = new File([await openAsBlob(path)], basename(path));
    const size = await ask(client, "size_of", handle_file(file));
    return { ...meter.stop(), lost: Number(size !== statSync(path).size) };
  },
};

const [name, parameters] = process.argv.slice(2);
const result = await scenarios[name](JSON.parse(parameters));
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
