"""Prints tests/golden/test_chance.c's numbers, from the definitions in rng.h, sample.h and split.c
and not from their code: python3 tests/golden/make_chance.py"""
import hashlib
import math

M = (1 << 64) - 1


def splitmix(x):
    x = (x + 0x9E3779B97F4A7C15) & M
    z = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & M
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & M
    return x, z ^ z >> 31


def rotate(x, k):
    return (x << k | x >> (64 - k)) & M


class Xoshiro:
    """xoshiro256** of Blackman and Vigna, its state two splitmix64 streams together."""

    def __init__(self, seed, stream):
        x, y, self.s = seed, stream ^ 0xD1B54A32D192ED03, []
        for _ in range(4):
            x, a = splitmix(x)
            y, b = splitmix(y)
            self.s.append(a ^ b)

    def next(self):
        s = self.s
        result, t = (rotate(s[1] * 5 & M, 7) * 9) & M, (s[1] << 17) & M
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotate(s[3], 45)
        return result

    def below(self, n):
        while True:
            x = self.next()
            if x >= (1 << 64) % n:
                return x % n

    def uniform(self):
        return (self.next() >> 11) * 2.0**-53


rng = Xoshiro(42, 7)
print("u64", [hex(rng.next()) for _ in range(4)])
print("below 1000", [rng.below(1000) for _ in range(6)])
print("uniform", [rng.uniform().hex() for _ in range(2)])
u, v = 1 - rng.uniform(), rng.uniform()
print("normal", math.sqrt(-2 * math.log(u)) * math.cos(2 * math.pi * v))
items = list(range(10))
for i in range(10, 1, -1):
    j = rng.below(i)
    items[i - 1], items[j] = items[j], items[i - 1]
print("shuffle", items)

N, CLASSES, SEED, FOLDS = 40, ["a", "b", "c"], 5, 4
identity = [hashlib.sha256(b"row %d" % i).digest() for i in range(N)]


def ranked(purpose, k):
    """Rows of class k by SHA-256(seed, purpose, identity)."""
    rows = [i for i in range(N) if i % 3 == k]
    return sorted(rows, key=lambda i: hashlib.sha256(SEED.to_bytes(8, "little") + purpose + identity[i]).digest())


part, fold = [0] * N, [0] * N
for k, name in enumerate(CLASSES):
    rows = ranked(b"", k)
    for at, i in enumerate(rows):
        part[i] = int(at + 1 < len(rows) and at + 0.5 <= 0.25 * len(rows))
    digest = hashlib.sha256(name.encode()).digest()
    first = (digest[0] | digest[1] << 8) % FOLDS
    rows = ranked(b"folds", k)
    for at, i in enumerate(rows):
        fold[i] = (int((at + 0.5) / len(rows) * FOLDS) + first) % FOLDS
print("part", "".join(map(str, part)))
print("fold", "".join(map(str, fold)))
