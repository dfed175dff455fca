import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import ca.uhn.fhir.validation.SingleValidationMessage;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Collectors;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;

/**
 * Reads paths of FHIR R4 resources from stdin and says of each, a line each, {@code OK <path>} or
 * {@code FAIL <path> <errors>}; with {@code -v} also its warnings. HAPI's validator knows the base profiles of R4, and
 * of terminology what the standard itself carries; LOINC and SNOMED CT it does not have.
 */
public final class FhirReferee {
  private final FhirValidator validator;
  private final boolean tellsWarnings;

  private FhirReferee(boolean tellsWarnings) {
    var context = FhirContext.forR4();
    var chain = new ValidationSupportChain(
        new DefaultProfileValidationSupport(context),
        new InMemoryTerminologyServerValidationSupport(context),
        new CommonCodeSystemsTerminologyService(context));
    var module = new FhirInstanceValidator(chain);
    validator = context.newValidator().registerValidatorModule(module);
    this.tellsWarnings = tellsWarnings;
  }

  public static void main(String[] arguments) throws IOException {
    var referee = new FhirReferee(arguments.length > 0 && arguments[0].equals("-v"));
    var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String path = lines.readLine(); path != null; path = lines.readLine()) {
      System.out.println(referee.verdict(path));
      System.out.flush();
    }
  }

  private String verdict(String path) throws IOException {
    var messages = validator.validateWithResult(Files.readString(Path.of(path))).getMessages();
    String errors = messages.stream().filter(this::isTold).map(FhirReferee::line).collect(Collectors.joining(" ; "));
    boolean isRefused = messages.stream().anyMatch(FhirReferee::isError);
    return (isRefused ? "FAIL " : "OK ") + path + " " + errors.replaceAll("\\s+", " ");
  }

  private boolean isTold(SingleValidationMessage message) {
    return tellsWarnings || isError(message);
  }

  private static boolean isError(SingleValidationMessage message) {
    return message.getSeverity().ordinal() >= ResultSeverityEnum.ERROR.ordinal();
  }

  private static String line(SingleValidationMessage message) {
    return message.getSeverity() + " " + message.getLocationString() + ": " + message.getMessage();
  }
}
