// Does one token exchange with one independent library: node exchange.mjs MODULE < case.json > answer.json
import { text } from "node:stream/consumers";

const { exchange } = await import(`./${process.argv[2]}.mjs`);
process.stdout.write(JSON.stringify(await exchange(JSON.parse(await text(process.stdin)))));
