// One session of the AWS SDK for JavaScript with its HTTP/1.1 handler; prints what it saw as JSON.
// Asked by environment: ENDPOINT, CA (a file; empty without TLS), REGION, ACCESS_KEY, SECRET_KEY.
// MODULES names the folder that npm installed into.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";

const require = createRequire(process.env.MODULES + "/");
const kinesis = require("@aws-sdk/client-kinesis");
const { NodeHttpHandler } = require("@smithy/node-http-handler");

const { ENDPOINT, CA, REGION, ACCESS_KEY, SECRET_KEY } = process.env;
const client = new kinesis.KinesisClient({
  endpoint: ENDPOINT,
  region: REGION,
  maxAttempts: 1,
  credentials: { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY },
  requestHandler: new NodeHttpHandler({
    httpAgent: new http.Agent({ keepAlive: true }),
    httpsAgent: new https.Agent({ keepAlive: true, ca: CA ? readFileSync(CA) : undefined }),
  }),
});
const call = (name, input) => client.send(new kinesis[name + "Command"](input));
const StreamName = "javascript";

async function active() {
  for (;;) {
    const { StreamDescriptionSummary: summary } = await call("DescribeStreamSummary", { StreamName });
    if (summary.StreamStatus === "ACTIVE") return summary;
    await new Promise((resume) => setTimeout(resume, 20));
  }
}

async function readAll(ShardId) {
  let { ShardIterator } = await call("GetShardIterator", { StreamName, ShardId, ShardIteratorType: "TRIM_HORIZON" });
  const data = [];
  let children = [];
  for (;;) {
    const answer = await call("GetRecords", { ShardIterator });
    data.push(...answer.Records.map((record) => Buffer.from(record.Data).toString()));
    children = (answer.ChildShards ?? []).map((child) => child.ShardId);
    ShardIterator = answer.NextShardIterator;
    if (!ShardIterator || (answer.Records.length === 0 && answer.MillisBehindLatest === 0)) break;
  }
  return { data, children };
}

await call("CreateStream", { StreamName, ShardCount: 1 });
const created = await active();
const put = await call("PutRecord", { StreamName, PartitionKey: "a", Data: Buffer.from("zero") });
const batch = await call("PutRecords", {
  StreamName,
  Records: Array.from({ length: 100 }, (_, n) => ({ PartitionKey: "a", Data: Buffer.from("n" + n) })),
});
await call("SplitShard", {
  StreamName, ShardToSplit: "shardId-000000000000", NewStartingHashKey: (2n ** 127n).toString(),
});
await active();
const shards = (await call("ListShards", { StreamName })).Shards.map((shard) => shard.ShardId);
const parent = await readAll("shardId-000000000000");
await call("MergeShards", {
  StreamName, ShardToMerge: "shardId-000000000001", AdjacentShardToMerge: "shardId-000000000002",
});
const merged = await active();
let refusal = "none";
try {
  await call("DescribeStream", { StreamName: "nowhere" });
} catch (error) {
  refusal = error.name;
}
await call("DeleteStream", { StreamName });
console.log(JSON.stringify({
  openAtFirst: created.OpenShardCount, putShard: put.ShardId, failed: batch.FailedRecordCount,
  accepted: batch.Records.filter((entry) => entry.SequenceNumber).length, shards, parent,
  openAtLast: merged.OpenShardCount, refusal,
}));
