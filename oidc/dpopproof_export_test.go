package oidc

// NormalTarget is for the fuzz target of how URLs are compared.
func NormalTarget(text string) (string, bool) { return normalTarget(text) }
