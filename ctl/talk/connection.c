/* SPDX-License-Identifier: Apache-2.0 */
/* connection: from a command line to the relay or agent that answers its calls. */
#include "ctl/talk/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/worker/connector.h"
#include "core/conf/conf.h"
#include "core/engine/identity.h"
#include "core/parse/wire.h"
#include "ctl/talk/console_config.h"
#include "ctl/talk/tunnel.h"

/* ---- the Unix socket ---- */

static void complain_socket(const char *path, int error)
{
	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
		complain("%s: %s; is postern-relayd running here, with control.socket in its "
			 "configuration?",
			 path, strerror(error));
		break;
	case EACCES:
	case EPERM:
		complain("%s: %s; run this as root, or as a user in control.admin or control.read "
			 "who may reach the socket",
			 path, strerror(error));
		break;
	default:
		complain("%s: %s", path, strerror(error));
	}
}

int connection_open_path(const char *path, struct connection *conn)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd, error;

	*conn = (struct connection){.rpc.fd = -1};
	if (strlen(path) >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	memcpy(to.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		error = -errno;
		close(fd);
		return error;
	}
	rpc_open(&conn->rpc, fd);
	snprintf(conn->label, sizeof(conn->label), "%s", path);
	return 0;
}

static bool connection_open_socket(const char *path, struct connection *conn)
{
	int error = connection_open_path(path, conn);

	if (error)
		complain_socket(path, -error);
	return error == 0;
}

/* ---- the console's file ---- */

static void complain_kind(const char *path, enum bundle_kind kind)
{
	complain("%s is %s; only a console may do this: 'postern pki issue DIR console NAME "
		 "--relay HOST:PORT' makes its file",
		 path, kind == BUNDLE_AGENT ? "an agent's file" : "no console's file");
}

static bool load_console(const char *path, struct agent_config *out)
{
	struct conf_errors errors = {.file = path};
	struct conf_node *root = conf_load(path, CONF_KEYS, &errors);
	enum bundle_kind kind = root ? console_config_kind(root) : BUNDLE_CONSOLE;
	bool ok = false;

	if (kind != BUNDLE_CONSOLE)
		complain_kind(path, kind);
	else
		ok = root && console_config_bind(root, out, &errors);
	if (errors.text)
		fputs(errors.text, stderr);
	conf_node_free(root);
	conf_errors_free(&errors);
	return ok;
}

/* Whether text means the relay: its host, or host and port. */
static bool is_named(const struct agent_relay *relay, const char *text)
{
	char label[ENDPOINT_TEXT_BYTES];

	endpoint_text(&relay->address, label);
	return strcasecmp(text, label) == 0 || strcasecmp(text, relay->address.host) == 0;
}

/* The place that --at names, or otherwise nth. */
static bool find_relay(const struct arguments *a, const struct agent_config *c, size_t nth,
		       size_t *out)
{
	const struct agent_relay *relays = c->relays.items;
	char label[ENDPOINT_TEXT_BYTES];

	*out = nth;
	if (!a->at)
		return true;
	for (size_t i = 0; i < c->relays.count; i++) {
		if (is_named(&relays[i], a->at)) {
			*out = i;
			return true;
		}
	}
	complain("%s names no relay %s; there are:", a->as, a->at);
	for (size_t i = 0; i < c->relays.count; i++) {
		endpoint_text(&relays[i].address, label);
		fprintf(stderr, "  %s\n", label);
	}
	return false;
}

/* ---- opening ---- */

/* Which of file and socket is meant; *path NULL: the file. */
static bool take_socket(const struct arguments *a, const char **path)
{
	*path = a->socket;
	if (a->as && a->socket) {
		complain("--as and --socket are two ways to the relay; give one of them");
		return false;
	}
	if (a->as || a->socket)
		return true;
	if (access(CONNECTION_SOCKET, F_OK) == 0) {
		*path = CONNECTION_SOCKET;
		return true;
	}
	complain("which relay? Write 'postern --as console.yaml %s ...', or run it "
		 "where " CONNECTION_SOCKET " is",
		 a->command->name);
	return false;
}

static bool open_tunnel(struct connection *conn, struct tunnel *tunnel)
{
	if (!tunnel) {
		complain("out of memory, threads or descriptors: %s", strerror(errno));
		return false;
	}
	conn->tunnel = tunnel;
	rpc_open(&conn->rpc, tunnel_take_fd(tunnel));
	if (tunnel_wait(tunnel))
		return true;
	complain("%s", tunnel_why(tunnel));
	return false;
}

bool connection_open_nth(const struct arguments *a, size_t nth, struct connection *conn)
{
	const char *path;
	size_t at;

	*conn = (struct connection){.rpc.fd = -1};
	if (!take_socket(a, &path))
		return false;
	if (path)
		return connection_open_socket(path, conn);
	conn->has_config = load_console(a->as, &conn->config);
	if (!conn->has_config)
		return false;
	if (find_relay(a, &conn->config, nth, &at)) {
		const struct agent_relay *relays = conn->config.relays.items;

		endpoint_text(&relays[at].address, conn->label);
		conn->relay = &relays[at];
		if (open_tunnel(conn, tunnel_to_relay(&conn->config, at, WIRE_HELLO_CONSOLE)))
			return true;
	}
	connection_close(conn);
	return false;
}

bool connection_open_relay(const struct arguments *a, struct connection *conn)
{
	return connection_open_nth(a, 0, conn);
}

size_t connection_count(const struct arguments *a)
{
	struct agent_config c;
	size_t count;

	if (!a->as || a->at)
		return 1;
	if (!load_console(a->as, &c))
		return 0;
	count = c.relays.count;
	agent_config_free(&c);
	return count;
}

bool connection_open_agent(const struct arguments *a, const char *agent, struct connection *conn)
{
	*conn = (struct connection){.rpc.fd = -1};
	if (!a->as) {
		complain("an agent answers to a console only; write 'postern --as console.yaml %s "
			 "%s'",
			 a->command->name, agent);
		return false;
	}
	if (!wire_is_agent_name(agent)) {
		complain("'%s' is no agent's name", agent);
		return false;
	}
	conn->has_config = load_console(a->as, &conn->config);
	if (!conn->has_config)
		return false;
	snprintf(conn->label, sizeof(conn->label), "%s", agent);
	if (open_tunnel(conn, tunnel_to_agent(&conn->config, agent, WIRE_CONTROL_SERVICE)))
		return true;
	connection_close(conn);
	return false;
}

void connection_close(struct connection *conn)
{
	rpc_close(&conn->rpc); /* before the tunnel: it ends by itself then */
	tunnel_close(conn->tunnel);
	conn->tunnel = NULL;
	if (conn->has_config)
		agent_config_free(&conn->config);
	conn->has_config = false;
}

/* ---- calls ---- */

json_t *connection_try(struct connection *conn, const char *method, json_t *params,
		       struct rpc_failure *f)
{
	json_t *result = rpc_call(&conn->rpc, method, params, f);
	const char *why;

	if (result || f->code != RPC_LOST)
		return result;
	why = conn->tunnel ? tunnel_why(conn->tunnel) : "";
	if (why[0])
		snprintf(f->message, sizeof(f->message), "%s", why);
	return NULL;
}

json_t *connection_call(struct connection *conn, const char *method, json_t *params)
{
	struct rpc_failure failure = {.data = NULL};
	json_t *result = connection_try(conn, method, params, &failure);

	if (!result)
		complain("%s", failure.message);
	rpc_failure_free(&failure);
	return result;
}

void connection_complain_end(struct connection *conn)
{
	const char *why = conn->tunnel ? tunnel_why(conn->tunnel) : "";

	complain("%s", why[0] ? why
			      : "the connection ended; it may have fallen behind, or the "
				"relay has stopped");
}

const char *connection_words(const struct arguments *a, char out[512])
{
	out[0] = '\0';
	if (a->as)
		snprintf(out, 512, "--as %.200s ", a->as);
	else if (a->socket)
		snprintf(out, 512, "--socket %.200s ", a->socket);
	if (a->at)
		snprintf(out + strlen(out), 512 - strlen(out), "--at %.200s ", a->at);
	return out;
}
