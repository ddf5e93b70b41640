package jwe

// Plaintext is Decrypt for contents that are no JWT, as those of Wycheproof.
var Plaintext = decrypt
