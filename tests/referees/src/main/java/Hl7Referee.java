import ca.uhn.hl7v2.DefaultHapiContext;
import ca.uhn.hl7v2.HL7Exception;
import ca.uhn.hl7v2.model.AbstractGroup;
import ca.uhn.hl7v2.model.Message;
import ca.uhn.hl7v2.model.Segment;
import ca.uhn.hl7v2.parser.PipeParser;
import ca.uhn.hl7v2.util.Terser;
import ca.uhn.hl7v2.validation.impl.ValidationContextFactory;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Reads paths of HL7 v2 messages from stdin and says of each, a line each, {@code OK <path> <structure>} or
 * {@code FAIL <path> <reason>}: parsed by HAPI with its default validation, known structure, no segment it did not
 * expect, and the same text when written again.
 */
public final class Hl7Referee {
  private final PipeParser parser;

  private Hl7Referee() {
    var context = new DefaultHapiContext();
    context.setValidationContext(ValidationContextFactory.defaultValidation());
    parser = context.getPipeParser();
  }

  public static void main(String[] arguments) throws IOException {
    var referee = new Hl7Referee();
    var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String path = lines.readLine(); path != null; path = lines.readLine()) {
      System.out.println(referee.verdict(path));
      System.out.flush();
    }
  }

  private String verdict(String path) {
    try {
      return "OK " + path + " " + judge(Files.readString(Path.of(path)));
    } catch (HL7Exception | IOException | IllegalStateException error) {
      return "FAIL " + path + " " + String.valueOf(error.getMessage()).replaceAll("\\s+", " ");
    }
  }

  private String judge(String sent) throws HL7Exception, IOException {
    Message message = parser.parse(sent);
    message.generateACK();
    require(((AbstractGroup) message).getNonStandardNames().isEmpty(), "unexpected segments");
    require(message.encode().equals(withoutLeadingBlanks(sent)), "written again it differs");
    Segment header = (Segment) message.get("MSH");
    return Terser.get(header, 9, 0, 3, 1);
  }

  /** HAPI's default validation drops the blanks at the beginning of a text, and of each of its repetitions. */
  private static String withoutLeadingBlanks(String message) {
    return message.replaceAll("([|~]) +", "$1");
  }

  private static void require(boolean holds, String reason) {
    if (!holds) {
      throw new IllegalStateException(reason);
    }
  }
}
