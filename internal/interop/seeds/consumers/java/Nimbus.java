import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.source.JWKSource;
import com.nimbusds.jose.jwk.source.JWKSourceBuilder;
import com.nimbusds.jose.proc.BadJWSException;
import com.nimbusds.jose.proc.JWSVerificationKeySelector;
import com.nimbusds.jose.proc.SecurityContext;
import com.nimbusds.jose.util.DefaultResourceRetriever;
import com.nimbusds.jose.util.JSONArrayUtils;
import com.nimbusds.jose.util.JSONObjectUtils;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.proc.BadJWTException;
import com.nimbusds.jwt.proc.DefaultJWTClaimsVerifier;
import com.nimbusds.jwt.proc.DefaultJWTProcessor;
import com.nimbusds.jwt.proc.ExpiredJWTException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;

/** Nimbus JOSE+JWT, by which Spring Security verifies tokens: the keys are where the issuer's metadata say. */
public class Nimbus {
    private static final Map<String, JWKSource<SecurityContext>> KNOWN = new HashMap<>();

    public static void main(String[] args) throws Exception {
        var verdicts = new HashMap<String, Object>();
        for (Object each : JSONArrayUtils.parse(Files.readString(Path.of(args[0])))) {
            @SuppressWarnings("unchecked")
            var c = (Map<String, Object>) each;
            verdicts.put((String) c.get("name"), judge(c));
        }
        System.out.print(JSONObjectUtils.toJSONString(verdicts));
    }

    private static String judge(Map<String, Object> c) throws Exception {
        try {
            return "accepted " + verify(c).getSubject();
        } catch (BadJWSException e) {
            return "signature";
        } catch (ExpiredJWTException e) {
            return "expired";
        } catch (BadJWTException e) { // Nimbus tells these apart by their texts alone
            if (e.getMessage().startsWith("JWT iss claim")) return "issuer";
            if (e.getMessage().startsWith("JWT audience rejected") || e.getMessage().startsWith("JWT aud claim")) return "audience";
            return "unexpected: " + e;
        }
    }

    private static JWTClaimsSet verify(Map<String, Object> c) throws Exception {
        String issuer = (String) c.get("issuer");
        var exact = new JWTClaimsSet.Builder().issuer(issuer).build();
        var claims = new DefaultJWTClaimsVerifier<SecurityContext>((String) c.get("audience"), exact, Set.of("exp", "iat", "sub", "jti"));
        claims.setMaxClockSkew(0);
        var processor = new DefaultJWTProcessor<SecurityContext>();
        processor.setJWSKeySelector(new JWSVerificationKeySelector<>(JWSAlgorithm.parse((String) c.get("algorithm")), keysOf(issuer)));
        processor.setJWTClaimsSetVerifier(claims);
        return processor.process((String) c.get("token"), null);
    }

    private static JWKSource<SecurityContext> keysOf(String issuer) throws Exception {
        if (!KNOWN.containsKey(issuer)) {
            var retriever = new DefaultResourceRetriever(20_000, 20_000);
            var metadata = JSONObjectUtils.parse(retriever.retrieveResource(new URL(issuer + "/.well-known/openid-configuration")).getContent());
            if (!issuer.equals(metadata.get("issuer"))) throw new IllegalStateException("these are metadata of another issuer");
            KNOWN.put(issuer, JWKSourceBuilder.create(new URL((String) metadata.get("jwks_uri")), retriever).build());
        }
        return KNOWN.get(issuer);
    }
}
