// The example engine in C++: what simple.c does, over the maps of the standard library.
//
// kvstore_simple.h says what each function promises.  An entry's position is its number of
// insertion, which it keeps, so that a walk misses nothing.
#include "kvstore_simple.h"

#include <cstdint>
#include <map>
#include <new>
#include <string>

namespace {

struct Entry {
	std::string key, value;
};

struct Store {
	std::map<std::string, std::uint64_t> numbers;
	std::map<std::uint64_t, Entry> entries;
	std::uint64_t last = 0;
};

Store *store; // no static object with a destructor: that would outlive the library

std::string text(const void *bytes, size_t n)
{
	return std::string(static_cast<const char *>(bytes), n);
}

const void *get(const void *key, size_t key_len, size_t *value_len)
{
	auto number = store->numbers.find(text(key, key_len));

	if (number == store->numbers.end())
		return nullptr;
	const std::string &value = store->entries[number->second].value;
	*value_len = value.size();
	return value.data();
}

void insert(const std::string &key, const std::string &value)
{
	auto [at, added] = store->numbers.try_emplace(key, store->last + 1);

	if (!added) {
		store->entries[at->second].value = value;
		return;
	}
	try {
		store->entries[at->second] = Entry{key, value};
		store->last++;
	} catch (...) {
		store->numbers.erase(at);
		throw;
	}
}

// No exception may leave a function of an engine.
int set(const void *key, size_t key_len, const void *value, size_t value_len)
{
	try {
		insert(text(key, key_len), text(value, value_len));
		return KV_OK;
	} catch (const std::bad_alloc &) {
		return KV_NO_MEMORY;
	}
}

int del(const void *key, size_t key_len)
{
	auto number = store->numbers.find(text(key, key_len));

	if (number == store->numbers.end())
		return KV_NOT_FOUND;
	store->entries.erase(number->second);
	store->numbers.erase(number);
	return KV_OK;
}

uint64_t each(uint64_t position, kv_simple_found found, void *to)
{
	auto at = store->entries.lower_bound(position);

	if (at == store->entries.end())
		return 0;
	const Entry &e = at->second;
	found(to, e.key.data(), e.key.size(), e.value.data(), e.value.size());
	return at->first + 1;
}

int open()
{
	store = new (std::nothrow) Store;
	return store != nullptr ? KV_OK : KV_NO_MEMORY;
}

void close()
{
	delete store;
}

} // namespace

KVSTORE_SIMPLE_ENGINE(.name = "simple-cxx", .version = "0.1.0", .get = get, .set = set, .del = del,
		      .each = each, .open = open, .close = close)
