/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic of the fixed tree: which sums there are, and adding arrays in its order.
 *
 * Arrays are summed block by block, so that partial sums stay in the first-level cache. An addition happens elementwise, so neither blocks nor
 * vector width change a bit. */
#include "dist/tree.h"

#include "base/kernel.h"

#include <stdbool.h>
#include <string.h>

enum { BLOCK = 1024, MAX_LEVELS = 34 };

static int split(int lo, int hi)
{
	return lo + (hi - lo + 1) / 2;
}

int ftmpi__tree_merges(int n_workers, int first, int w)
{
	int lo = 0, hi = n_workers, n = 0;

	while (hi - lo > 1) {
		const int mid = split(lo, hi);

		n += hi - 1 == w && lo >= first;
		if (w < mid)
			hi = mid;
		else
			lo = mid;
	}
	return n;
}

static int cover(struct ftmpi__range node, struct ftmpi__range within, struct ftmpi__range *ranges, int n)
{
	const int mid = split(node.lo, node.hi);

	if (node.hi <= within.lo || node.lo >= within.hi)
		return n;
	if (within.lo <= node.lo && node.hi <= within.hi) {
		if (ranges != NULL)
			ranges[n] = node;
		return n + 1;
	}
	n = cover((struct ftmpi__range){node.lo, mid}, within, ranges, n);
	return cover((struct ftmpi__range){mid, node.hi}, within, ranges, n);
}

int ftmpi__tree_cover(int n_workers, int first, int end, struct ftmpi__range *ranges)
{
	return first < end ? cover((struct ftmpi__range){0, n_workers}, (struct ftmpi__range){first, end}, ranges, 0)
			   : 0;
}

/* A node: an inner one has two children, a leaf the index of its array. */
struct node {
	int left, right; /* -1 in a leaf */
	int leaf;
};

struct ftmpi__tree {
	int n_leaves, n_nodes, root;
	struct node *nodes;
};

/* Whether [lo, hi) lies within one unit. */
static bool within_one_unit(struct ftmpi__range range, const int *units, int n_units)
{
	for (int i = 0; i < n_units; i++)
		if (range.lo >= units[i] && range.hi <= units[i + 1])
			return true;
	return false;
}

/* Build below `range`; leaves are numbered from left to right. Returns the node's index. */
static int build(ftmpi__tree *tree, struct ftmpi__range range, const int *units, int n_units)
{
	struct node node = {-1, -1, -1};

	if (within_one_unit(range, units, n_units)) {
		node.leaf = tree->n_leaves++;
	} else {
		const int mid = split(range.lo, range.hi);

		node.left = build(tree, (struct ftmpi__range){range.lo, mid}, units, n_units);
		node.right = build(tree, (struct ftmpi__range){mid, range.hi}, units, n_units);
	}
	tree->nodes[tree->n_nodes] = node;
	return tree->n_nodes++;
}

ftmpi_status ftmpi__tree_create(struct ftmpi__range range, const int *units, int n_units, ftmpi__tree **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi__tree *tree = NULL;

	FTMPI_TRY(FTMPI_ALLOC(1, &tree));
	FTMPI_TRY(FTMPI_ALLOC(2 * ((int64_t)range.hi - range.lo), &tree->nodes));
	tree->root = build(tree, range, units, n_units);
	*out = tree;
	tree = NULL;
done:
	ftmpi__tree_destroy(&tree);
	return status;
}

void ftmpi__tree_destroy(ftmpi__tree **tree)
{
	if (*tree == NULL)
		return;
	ftmpi_free((*tree)->nodes);
	ftmpi_free(*tree);
	*tree = NULL;
}

int ftmpi__tree_n_leaves(const ftmpi__tree *tree)
{
	return tree->n_leaves;
}

FTMPI_KERNEL static void add(float *out, const float *a, const float *b, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		out[i] = a[i] + b[i];
}

void ftmpi__tree_add(float *out, const float *a, const float *b, int64_t n)
{
	add(out, a, b, n);
}

/* One block of one tree. */
struct block {
	const ftmpi__tree *tree;
	const float *const *leaves;
	int64_t at, n;
	float (*temporaries)[2][BLOCK];
};

/* Sum of a node's block: a leaf's own data, or `into`, which is written last: it may be a leaf's. */
static const float *sum_node(const struct block *b, int index, int level, float *into)
{
	const struct node *node = &b->tree->nodes[index];
	const float *left, *right;

	if (node->leaf >= 0)
		return b->leaves[node->leaf] + b->at;
	left = sum_node(b, node->left, level + 1, b->temporaries[level][0]);
	right = sum_node(b, node->right, level + 1, b->temporaries[level][1]);
	ftmpi__tree_add(into, left, right, b->n);
	return into;
}

void ftmpi__tree_sum(const ftmpi__tree *tree, const float *const *leaves, int64_t n, float *out)
{
	_Alignas(FTMPI_ALIGNMENT) float temporaries[MAX_LEVELS][2][BLOCK];

	for (int64_t at = 0; at < n; at += BLOCK) {
		const struct block block = {tree, leaves, at, n - at < BLOCK ? n - at : BLOCK, temporaries};
		const float *sum = sum_node(&block, tree->root, 0, out + at);

		if (sum != out + at)
			memcpy(out + at, sum, (size_t)block.n * sizeof *out);
	}
}

double ftmpi__tree_sum_scalars(const double *values, int stride, int lo, int hi)
{
	if (hi - lo == 1)
		return values[(int64_t)lo * stride];
	return ftmpi__tree_sum_scalars(values, stride, lo, split(lo, hi)) +
	       ftmpi__tree_sum_scalars(values, stride, split(lo, hi), hi);
}
