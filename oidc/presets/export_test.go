package presets

// Hints are all texts that a preset has.
func (p Preset) Hints() []string {
	var texts []string
	for _, h := range p.hints {
		texts = append(texts, h.text)
	}
	return texts
}
