#!/usr/bin/env node
// Run by backup-bot in the container of the server: node /pds_backup.mjs backup | tidy | restore
// and by the entrypoint, while no server runs: node /pds_backup.mjs swap
import fs from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'

const data = process.env.PDS_DATA_DIRECTORY
const backup = `${data}/backup`
// Written last: a backup that has it is whole.
const whole = `${backup}/whole`
const due = `${backup}/restore-due`
// In this order: whatever an account, a repository or a record names is copied after it, so no copy lacks it. The cache of
// identities is left out, the server makes it anew.
const parts = ['account.sqlite', 'sequencer.sqlite', 'actors', 'blocks']
const cache = 'did_cache.sqlite'
const limit = 90_000 // milliseconds for the server to stop and start

function copy(source, target) {
  if (fs.statSync(source).isDirectory()) {
    fs.mkdirSync(target)
    for (const name of fs.readdirSync(source)) {
      try {
        copy(`${source}/${name}`, `${target}/${name}`)
      } catch (error) {
        if (fs.existsSync(`${source}/${name}`)) throw error // else it was deleted just now
      }
    }
  } else if (source.endsWith('.sqlite')) {
    // What one moment's readers see, with what still lies in the write-ahead log; the server goes on writing.
    const database = new DatabaseSync(source, { readOnly: true, timeout: 30_000 })
    database.prepare('VACUUM INTO ?').run(target)
    database.close()
  } else if (!/\.sqlite-(wal|shm)$/.test(source)) {
    fs.linkSync(source, target) // keys and blobs are never changed
  }
}

function remove(path) {
  for (const suffix of ['', '-wal', '-shm']) fs.rmSync(`${path}${suffix}`, { recursive: true, force: true })
}

const verbs = {
  backup() {
    remove(backup)
    fs.mkdirSync(backup)
    for (const part of parts) {
      if (fs.existsSync(`${data}/${part}`)) copy(`${data}/${part}`, `${backup}/${part}`)
      else if (part.endsWith('.sqlite')) throw new Error(`${data}/${part} is missing, nothing to back up`)
      else fs.mkdirSync(`${backup}/${part}`) // nobody has an account, or a blob, yet
    }
    fs.writeFileSync(whole, `${new Date().toISOString()}\n`)
  },

  tidy() {
    remove(backup)
  },

  async restore() {
    if (!fs.existsSync(whole)) throw new Error(`${whole} is missing, nothing to restore`)
    fs.writeFileSync(due, '')
    process.kill(Number(fs.readFileSync('/tmp/pds.pid', 'utf8')), 'SIGTERM')
    const end = Date.now() + limit
    while (fs.existsSync(due) || !(await healthy())) {
      if (Date.now() > end) throw new Error(`the server was not back on the restored data within ${limit / 1000} s`)
      await sleep(200)
    }
  },

  // May be ended at any point, and is then done again: what is still in the backup is still to be moved.
  swap() {
    for (const part of parts.filter((part) => fs.existsSync(`${backup}/${part}`))) {
      remove(`${data}/${part}`)
      fs.renameSync(`${backup}/${part}`, `${data}/${part}`)
    }
    remove(`${data}/${cache}`)
    remove(backup)
  },
}

async function healthy() {
  const address = `http://127.0.0.1:${process.env.PDS_PORT}/xrpc/_health`
  return fetch(address, { signal: AbortSignal.timeout(5_000) }).then((answer) => answer.ok, () => false)
}

const verb = verbs[process.argv[2]]
if (!verb) {
  console.error('usage: pds_backup.mjs backup | tidy | restore | swap')
  process.exit(2)
}
try {
  await verb()
} catch (error) {
  console.error(`pds_backup.mjs: ${error.message}`)
  process.exit(1)
}
