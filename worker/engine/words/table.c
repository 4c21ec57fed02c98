/* Words and the ids that a tokenizer gave them: a hash table that grows until it is emptied. One thread at a time.
 *
 * A text, in UTF-8, is cut at some bytes that are characters of ASCII, so never inside a character.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { PART, BLANK, MARK };         /* what a byte is: of a word, nothing, or a word by itself */
enum { UNKNOWN = -1, UNFIT = -2 };  /* in place of a number of ids; a text with an unfit word has to be read whole */

typedef struct {
    uint64_t hash;
    uint32_t letters, length, ids; /* where its letters begin, in bytes, and how many they are; where its ids begin */
    int32_t count;                 /* how many ids it has */
} word;

typedef struct {
    uint64_t seed;
    uint32_t *places; /* 1 and more: the word before that; 0: nothing */
    word *words;
    char *letters;
    int32_t *ids;
    long mask, words_used, words_most, letters_used, letters_most, ids_used, ids_most, longest;
    uint8_t kinds[256];
} table;

void empty(table *t) {
    memset(t->places, 0, (size_t)(t->mask + 1) * sizeof *t->places);
    t->words_used = t->letters_used = t->ids_used = 0;
}

void forget(table *t) {
    if (t) free(t->places), free(t->words), free(t->letters), free(t->ids), free(t);
}

/* For `most` words, at least 1, of at most `longest` bytes; NULL where there is no memory. */
table *made(long most, long longest, uint64_t seed, const uint8_t *kinds) {
    table *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    long places = 1;
    while (places < 2 * most) places *= 2;
    t->seed = seed, t->mask = places - 1, t->longest = longest;
    t->words_most = most, t->letters_most = 12 * most + longest, t->ids_most = 6 * most;
    t->places = calloc((size_t)places, sizeof *t->places);
    t->words = malloc((size_t)most * sizeof *t->words);
    t->letters = malloc((size_t)t->letters_most);
    t->ids = malloc((size_t)t->ids_most * sizeof *t->ids);
    memcpy(t->kinds, kinds, sizeof t->kinds);
    if (t->places && t->words && t->letters && t->ids) return t;
    forget(t);
    return NULL;
}

static uint64_t mixed(uint64_t a, uint64_t b) {
    __uint128_t product = (__uint128_t)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_of(const char *at, long length, uint64_t seed) {
    uint64_t hash = seed ^ (uint64_t)length, some;
    for (; length >= 8; at += 8, length -= 8) {
        memcpy(&some, at, 8);
        hash = mixed(hash ^ some, 0x9e3779b97f4a7c15u);
    }
    some = 0;
    memcpy(&some, at, (size_t)length);
    return mixed(hash ^ some, 0xd6e8feb86659fd93u);
}

/* The index of a word, which is noted if it is new; -1 where there is no room. */
static long index_of(table *t, const char *at, long length) {
    uint64_t hash = hash_of(at, length, t->seed);
    long place = (long)(hash & (uint64_t)t->mask);
    for (; t->places[place]; place = (place + 1) & t->mask) {
        const word *w = t->words + t->places[place] - 1;
        if (w->hash == hash && w->length == length && !memcmp(t->letters + w->letters, at, (size_t)length))
            return (long)t->places[place] - 1;
    }
    if (t->words_used == t->words_most || t->letters_used + length > t->letters_most) return -1;
    t->words[t->words_used] = (word){hash, (uint32_t)t->letters_used, (uint32_t)length, 0, UNKNOWN};
    memcpy(t->letters + t->letters_used, at, (size_t)length);
    t->letters_used += length;
    t->places[place] = (uint32_t)++t->words_used;
    return t->words_used - 1;
}

/* Cuts texts, which begin at `starts` and end where the next one does, to words: their indices, one text's behind the
 * other's, to `found`, room for one a byte; how many each text has, or UNFIT, to `counts`.
 * Returns how many texts were cut before there was no more room. */
long cut(table *t, const char *bytes, const long *starts, long texts, uint32_t *found, long *counts) {
    for (long text = 0; text < texts; text++) {
        uint32_t *next = found;
        int fit = 1;
        for (long at = starts[text], end = starts[text + 1], from; at < end && fit;) {
            int kind = t->kinds[(uint8_t)bytes[at]];
            from = at++;
            if (kind == BLANK) continue;
            while (kind == PART && at < end && t->kinds[(uint8_t)bytes[at]] == PART) at++;
            fit = at - from <= t->longest;
            long index = fit ? index_of(t, bytes + from, at - from) : 0;
            if (index < 0) return text;
            *next++ = (uint32_t)index;
        }
        counts[text] = fit ? next - found : UNFIT;
        if (fit) found = next;
    }
    return texts;
}

long words_in(const table *t) { return t->words_used; }

/* The lengths of the words from `first` on, in bytes, and where their letters begin. */
const char *letters_from(const table *t, long first, long *lengths) {
    for (long i = first; i < t->words_used; i++) lengths[i - first] = t->words[i].length;
    return t->letters + (first < t->words_used ? t->words[first].letters : 0);
}

/* What the words from `first` on are: `counts` ids each, one word's behind the other's, or UNFIT, as are those for
 * which there is no room; returns how many these are. */
long learn(table *t, long first, const long *counts, const int32_t *ids) {
    long homeless = 0;
    for (long i = first; i < t->words_used; i++) {
        long count = counts[i - first], has_room = count <= t->ids_most - t->ids_used;
        word *w = t->words + i;
        w->ids = (uint32_t)t->ids_used;
        w->count = (int32_t)(has_room ? count : UNFIT);
        homeless += !has_room;
        if (count < 0) continue;
        if (has_room) memcpy(t->ids + t->ids_used, ids, (size_t)count * sizeof *ids), t->ids_used += count;
        ids += count;
    }
    return homeless;
}

/* How many ids each text has, of which `found` and `counts` are as `cut` gave them, or UNFIT; returns the sum. */
long lengths_of(const table *t, const uint32_t *found, const long *counts, long texts, long *lengths) {
    long sum = 0;
    for (long text = 0; text < texts; found += counts[text] > 0 ? counts[text] : 0, text++) {
        long length = counts[text] < 0 ? UNFIT : 0;
        for (long i = 0; i < counts[text] && length >= 0; i++) {
            long count = t->words[found[i]].count;
            length = count < 0 ? UNFIT : length + count;
        }
        lengths[text] = length;
        sum += length > 0 ? length : 0;
    }
    return sum;
}

/* The ids of all texts that are not UNFIT, behind one another. */
void write_ids(const table *t, const uint32_t *found, const long *counts, long texts, const long *lengths, int32_t *ids) {
    for (long text = 0; text < texts; found += counts[text] > 0 ? counts[text] : 0, text++)
        for (long i = 0; i < counts[text] && lengths[text] > 0; i++) {
            const word *w = t->words + found[i];
            memcpy(ids, t->ids + w->ids, (size_t)w->count * sizeof *ids);
            ids += w->count;
        }
}
