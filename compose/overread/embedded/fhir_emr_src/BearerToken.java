import ca.uhn.fhir.interceptor.api.Hook;
import ca.uhn.fhir.interceptor.api.Interceptor;
import ca.uhn.fhir.interceptor.api.Pointcut;
import ca.uhn.fhir.rest.api.server.RequestDetails;
import ca.uhn.fhir.rest.server.exceptions.AuthenticationException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;

/** Lets in who brings the token (RFC 6750); everybody else gets 401. */
@Interceptor
public final class BearerToken {
  private final byte[] expected;

  BearerToken(String token) {
    expected = ("Bearer " + token).getBytes(StandardCharsets.UTF_8);
  }

  @Hook(Pointcut.SERVER_INCOMING_REQUEST_POST_PROCESSED)
  public void check(RequestDetails request) {
    String said = request.getHeader("Authorization");
    if (said == null || !MessageDigest.isEqual(expected, said.getBytes(StandardCharsets.UTF_8))) {
      throw new AuthenticationException("a bearer token is needed");
    }
  }
}
