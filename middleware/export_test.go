package middleware

// LocalPath is for the fuzz target, which would be slow over HTTP.
var LocalPath = localPath
