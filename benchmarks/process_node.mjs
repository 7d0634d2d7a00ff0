// What anyone would write first in Node: `node process_node.mjs FILE`, and says what benchmarks.process_runs says.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const upload = readFileSync(process.argv[2]);
const clock = performance.now();
const cpu = process.cpuUsage();
const { events } = JSON.parse(upload);
events.sort((a, b) => a.timestamp - b.timestamp);
const made = gzipSync(JSON.stringify(events), { level: 6 }).length;
const used = process.cpuUsage(cpu);
const seconds = (performance.now() - clock) / 1e3;
const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]);
console.log(JSON.stringify({ seconds, cpu: (used.user + used.system) / 1e6, peak: (peak * 1024) / 1e6, made: made / 1e6 }));
