// Makes the replica set of compose.yaml, an administrator of the database and the user that Vesta is. What is there
// already stays. Runs in mongosh on the loopback of the first member.
const fs = require("fs");
const secret = (name) => fs.readFileSync(`/run/secrets/${name}`, "utf8").trim();
const alone = "mongodb://127.0.0.1:27017/?directConnection=true";

function begin() {
  const admin = connect(alone).getSiblingDB("admin");
  try {
    admin.runCommand({
      replSetInitiate: {
        _id: "rs0",
        members: [
          // The first user can be made on the first member only: it becomes the primary.
          { _id: 0, host: "mongo-1:27017", priority: 2 },
          { _id: 1, host: "mongo-2:27017" },
          { _id: 2, host: "mongo-3:27017" },
        ],
      },
    });
  } catch (error) {
    // 23: it was initialised before; 13: and has users.
    if (![13, 23].includes(error.code)) throw error;
  }
  for (let n = 0; !admin.runCommand({ hello: 1 }).isWritablePrimary; n += 1) {
    if (n > 120) throw new Error("mongo-1 does not become the primary");
    sleep(500);
  }
  return admin;
}

function user(admin, name, password, roles) {
  if (admin.runCommand({ usersInfo: name }).users.length === 0) {
    admin.runCommand({ createUser: name, pwd: password, roles });
  }
}

const admin = begin();
const root = secret("mongodb-root-password");
try {
  admin.runCommand({ createUser: "root", pwd: root, roles: ["root"] });
} catch (error) {
  // 13, 51003: there are users already.
  if (![13, 51003].includes(error.code)) throw error;
}
if (!admin.auth("root", root)) throw new Error("root has another password");
user(admin, "vesta", secret("mongodb-vesta-password"), [{ role: "readWrite", db: "vesta" }]);
print("the replica set is ready");
