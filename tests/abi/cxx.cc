// An engine by a C++ author: kvstore_simple.h over std::map, without del and each.
#include <kvstore_simple.h>

#include <map>
#include <new>
#include <string>

static std::map<std::string, std::string> *entries;

static std::string text(const void *bytes, size_t n)
{
	return std::string(static_cast<const char *>(bytes), n);
}

static const void *get(const void *key, size_t key_len, size_t *value_len)
{
	auto found = entries->find(text(key, key_len));

	if (found == entries->end())
		return nullptr;
	*value_len = found->second.size();
	return found->second.data();
}

static int set(const void *key, size_t key_len, const void *value, size_t value_len)
{
	try {
		(*entries)[text(key, key_len)] = text(value, value_len);
		return KV_OK;
	} catch (const std::bad_alloc &) {
		return KV_NO_MEMORY;
	}
}

static int open()
{
	entries = new (std::nothrow) std::map<std::string, std::string>;
	return entries != nullptr ? KV_OK : KV_NO_MEMORY;
}

static void close()
{
	delete entries;
}

KVSTORE_SIMPLE_ENGINE(.name = "cxx", .version = "1.0.0", .get = get, .set = set, .open = open,
		      .close = close)
