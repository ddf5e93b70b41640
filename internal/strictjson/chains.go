package strictjson

// chains find members: each begins with the number of the last member whose name has
// that link, counted from 1, and goes on with its next. Members from maxChained on are
// in none.
type chains [32]uint8

const maxChained = 255

func link(name string) uint8 {
	if name == "" {
		return 0
	}
	n := len(name)
	return (5*name[0] + 3*name[n-1] + byte(n)) % 32 //nolint:gosec // G115: any number will do
}

// add makes the member that comes next findable.
func (c *chains) add(name string, i int, m *member) {
	if i < maxChained {
		head := &c[link(name)]
		m.next, *head = *head, uint8(i)+1 //nolint:gosec // G115: below maxChained
	}
}
