package discovery

// Adopt gives what a source of cfg makes of a document that it found at place:
// a source that has PublicOnly dials nothing that a test could answer at.
func Adopt(cfg Config, document, place string) (*Metadata, error) {
	r, err := New(cfg)
	if err != nil {
		return nil, err
	}
	m, err := decode([]byte(document))
	if err != nil {
		return nil, err
	}
	return m, r.adopt(m, place)
}
