#!/bin/sh
# Ghost takes the password from its environment only, and gives up at once when the database is away. Both get a new
# container in an upgrade, so wait until the database stays.
set -eu
database__connection__password=$(cat /run/secrets/db_password)
export database__connection__password

trap 'exit 143' TERM
node - <<'END' &
const mysql = require('/var/lib/ghost/current/node_modules/mysql2/promise');
const options = {connectTimeout: 2000};
for (const name of ['host', 'user', 'password', 'database']) options[name] = process.env[`database__connection__${name}`];

(async () => {
    const end = Date.now() + 300_000;
    for (let answers = 0; answers < 3; answers += 1) {
        try {
            await (await mysql.createConnection(options)).end();
        } catch (error) {
            answers = -1;
            if (Date.now() > end) throw new Error(`no database within 300 s: ${error.message}`);
        }
        await new Promise((done) => setTimeout(done, 1000));
    }
})();
END
wait $!
exec docker-entrypoint.sh "$@"
