/* auth.c: which requests are answered at all: of this host, of this page, with the token.
 *
 * A page of another site may send requests here through the browser of whoever runs the server. Its name is
 * not among the hosts (DNS rebinding), its Origin is not this one (CSRF), and it has no token. */
#include <arpa/inet.h>
#include <string.h>
#include <sys/random.h>

#include "serve/http_private.h"

/* As long for every guess of a length. */
static bool same_secret(const char *guess, const char *secret)
{
    size_t n = strlen(guess), m = strlen(secret);
    unsigned char differs = n != m;
    for (size_t i = 0; i < n; i++) differs |= (unsigned char)(guess[i] ^ secret[m ? i % m : 0]);
    return !differs;
}

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static bool random_letters(char *to)
{
    enum { LETTERS = 43 }; /* 258 bits */
    unsigned char bytes[LETTERS];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) return false;
    for (size_t i = 0; i < LETTERS; i++) to[i] = letters[bytes[i] % 64];
    to[LETTERS] = '\0';
    return true;
}

bool guard_token(struct guard *guard, const char *given)
{
    if (!random_letters(guard->once)) return false;
    if (!given) return random_letters(guard->token);
    size_t n = strlen(given);
    if (n < 8 || n >= sizeof guard->token || strspn(given, letters) != n) return false;
    memcpy(guard->token, given, n + 1);
    return true;
}

/* "name:port" or "[address]:port": the name's length; 0: it is neither, or another port. */
static size_t host_length(const struct guard *guard, const char *host)
{
    const char *bracket = *host == '[' ? strchr(host, ']') : NULL;
    size_t n = bracket ? (size_t)(bracket - host) + 1 : strcspn(host, ":");
    char port[16];
    snprintf(port, sizeof port, ":%u", guard->port);
    if (host[n] ? strcmp(host + n, port) : guard->port != 80) return 0;
    return n;
}

static bool is_address(const char *host, size_t n)
{
    char text[INET6_ADDRSTRLEN + 1];
    unsigned char address[sizeof(struct in6_addr)];
    bool six = n > 2 && *host == '[';
    if (six) {
        host++;
        n -= 2;
    }
    if (!n || n >= sizeof text) return false;
    memcpy(text, host, n);
    text[n] = '\0';
    return inet_pton(six ? AF_INET6 : AF_INET, text, address) == 1;
}

static bool known_host(const struct guard *guard, const char *host)
{
    size_t n = host ? host_length(guard, host) : 0;
    if (!n) return false;
    for (size_t i = 0; i < sizeof guard->names / sizeof *guard->names && guard->names[i]; i++)
        if (strlen(guard->names[i]) == n && !strncasecmp(guard->names[i], host, n)) return true;
    return guard->any_address && is_address(host, n);
}

static bool own_origin(const char *origin, const char *host)
{
    return !strncmp(origin, "http://", 7) && !strcasecmp(origin + 7, host);
}

static bool used_once(struct guard *guard, const char *once)
{
    bool same = *guard->once && same_secret(once, guard->once);
    if (same) *guard->once = '\0';
    return same;
}

enum admission guard_admits(struct guard *guard, const struct asked *asked, bool open)
{
    static const char bearer[] = "Bearer ";
    bool reads = !strcmp(asked->method, "GET") || !strcmp(asked->method, "HEAD");
    if (!known_host(guard, asked->host)) return FOREIGN_HOST;
    if (asked->origin && !own_origin(asked->origin, asked->host)) return FOREIGN_ORIGIN;
    if (open) return ADMITTED;
    if (asked->authorization)
        return !strncasecmp(asked->authorization, bearer, sizeof bearer - 1) &&
                       same_secret(asked->authorization + sizeof bearer - 1, guard->token)
                   ? ADMITTED
                   : NO_TOKEN;
    if (asked->once && reads && used_once(guard, asked->once)) return SET_COOKIE;
    if (asked->token && reads) return same_secret(asked->token, guard->token) ? SET_COOKIE : NO_TOKEN;
    if (!asked->cookie || !same_secret(asked->cookie, guard->token)) return NO_TOKEN;
    return reads || asked->origin ? ADMITTED : FOREIGN_ORIGIN;
}
