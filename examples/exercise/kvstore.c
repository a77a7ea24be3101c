#include "kvstore.h"

#include <stdlib.h>
#include <string.h>

struct pair {
	struct pair *next;
	char *value;
	char key[];
};

static struct pair *pairs;

static struct pair *find(const char *key)
{
	struct pair *pair = pairs;

	while (pair != NULL && strcmp(pair->key, key) != 0)
		pair = pair->next;
	return pair;
}

/* A new pair without a value, at the head of the list; NULL: no memory. */
static struct pair *add(const char *key)
{
	struct pair *pair = malloc(sizeof *pair + strlen(key) + 1);

	if (pair == NULL)
		return NULL;
	strcpy(pair->key, key);
	pair->value = NULL;
	pair->next = pairs;
	pairs = pair;
	return pair;
}

int set(const char *key, const char *value)
{
	char *copy = strdup(value);
	struct pair *pair = find(key);

	if (pair == NULL && copy != NULL)
		pair = add(key);
	if (pair == NULL || copy == NULL) {
		free(copy);
		return -1;
	}
	free(pair->value);
	pair->value = copy;
	return 0;
}

const char *get(const char *key)
{
	struct pair *pair = find(key);

	return pair != NULL ? pair->value : NULL;
}
