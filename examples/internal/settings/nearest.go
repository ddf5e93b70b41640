package settings

// Nearest is the known name that differs in the fewest characters, for who has misspelt one.
func Nearest[V any](name string, known map[string]V) (best string) {
	fewest := -1
	for candidate := range known {
		d := distance(name, candidate)
		if fewest < 0 || d < fewest || d == fewest && candidate < best {
			best, fewest = candidate, d
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal, row[j+1] = row[j+1], min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
