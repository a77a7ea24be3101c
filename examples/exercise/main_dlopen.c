/* Loads libkvstore.so while running, sets a name and gets it back. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

typedef int set_fn(const char *key, const char *value);
typedef const char *get_fn(const char *key);

/* The function of that name; ends the program when there is none. */
static void *need(void *library, const char *name)
{
	void *symbol = dlsym(library, name);

	if (symbol == NULL) {
		fprintf(stderr, "dynamic_kvstore: no %s in libkvstore.so: %s\n", name, dlerror());
		exit(1);
	}
	return symbol;
}

int main(void)
{
	void *library = dlopen("libkvstore.so", RTLD_NOW | RTLD_LOCAL);

	if (library == NULL) {
		fprintf(stderr, "dynamic_kvstore: cannot load libkvstore.so: %s\n", dlerror());
		fprintf(stderr, "  fix: export LD_LIBRARY_PATH=.\n");
		return 1;
	}
	set_fn *set = (set_fn *)need(library, "set");
	get_fn *get = (get_fn *)need(library, "get");

	if (set("name", "Rojalin") != 0) {
		fprintf(stderr, "dynamic_kvstore: cannot set name: no memory\n");
		return 1;
	}
	printf("name:%s\n", get("name"));
	dlclose(library);
	return 0;
}
