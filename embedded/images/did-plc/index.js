// A directory of DIDs that keeps its operations in a file. The server itself knows PostgreSQL and memory only: this is
// its memory, filled again from the file at each start.
const fs = require('node:fs')
const { MockDatabase, PlcServer } = require('./server.js')

const FILE = `${process.env.PLC_DATA_DIRECTORY || '/data'}/operations.jsonl`
const PORT = Number(process.env.PLC_PORT || 2582)

class FileDatabase extends MockDatabase {
  async load() {
    const lines = fs.existsSync(FILE) ? fs.readFileSync(FILE, 'utf8').split('\n').filter(Boolean) : []
    for (const { did, operation, createdAt } of lines.map((line) => JSON.parse(line))) {
      await super.validateAndAddOp(did, operation)
      this.contents[did].at(-1).createdAt = new Date(createdAt)
    }
    return lines.length
  }

  async validateAndAddOp(did, operation) {
    await super.validateAndAddOp(did, operation)
    const { createdAt } = this.contents[did].at(-1)
    // Whole and on the disk before it is answered for.
    fs.appendFileSync(FILE, `${JSON.stringify({ did, operation, createdAt })}\n`, { flush: true })
  }
}

async function main() {
  const db = new FileDatabase()
  const known = await db.load()
  const server = PlcServer.create({ db, port: PORT, version: require('./package.json').version })
  await server.start()
  console.log(`listening on ${PORT}, ${known} operations known`)
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0))
}

main()
