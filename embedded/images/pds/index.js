// The server, as upstream's own image starts it: the environment says everything, and SIGTERM ends it.
import { PDS, envToCfg, envToSecrets, httpLogger, readEnv } from '@atproto/pds'

const env = readEnv()
const pds = await PDS.create(envToCfg(env), envToSecrets(env))
await pds.start()
httpLogger.info('pds has started')

process.on('SIGTERM', async () => {
  httpLogger.info('pds is stopping')
  await pds.destroy()
  httpLogger.info('pds is stopped')
})
