import ca.uhn.hl7v2.DefaultHapiContext;
import ca.uhn.hl7v2.HL7Exception;
import ca.uhn.hl7v2.model.GenericMessage;
import ca.uhn.hl7v2.model.Message;
import ca.uhn.hl7v2.model.Segment;
import ca.uhn.hl7v2.model.Structure;
import ca.uhn.hl7v2.model.Type;
import ca.uhn.hl7v2.parser.GenericModelClassFactory;
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
 * Reads paths of HL7 v2 messages of any version from stdin and says of each, a line each, {@code OK <path>} when HAPI
 * parses it with its default validation, {@code PARSED <path> <reason>} when only without, else {@code FAIL <path>
 * <reason>}. Beside each that it parses it leaves {@code <path>.fields}: every value as HAPI cuts and unescapes it.
 */
public final class Hl7Corpus {
  private final PipeParser strict;
  private final PipeParser generic;

  private Hl7Corpus() {
    var context = new DefaultHapiContext();
    context.setValidationContext(ValidationContextFactory.defaultValidation());
    strict = context.getPipeParser();
    var lenient = new DefaultHapiContext(new GenericModelClassFactory());
    lenient.setValidationContext(ValidationContextFactory.noValidation());
    generic = lenient.getPipeParser();
  }

  public static void main(String[] arguments) throws IOException {
    var corpus = new Hl7Corpus();
    var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String path = lines.readLine(); path != null; path = lines.readLine()) {
      System.out.println(corpus.verdict(Path.of(path)));
      System.out.flush();
    }
  }

  private String verdict(Path path) throws IOException {
    String sent = Files.readString(path);
    String word = "FAIL ";
    try {
      Files.writeString(Path.of(path + ".fields"), fields(sent));
      word = "PARSED ";
      strict.parse(sent);
      return "OK " + path;
    } catch (HL7Exception | RuntimeException error) {
      return word + path + " " + String.valueOf(error.getMessage()).replaceAll("\\s+", " ");
    }
  }

  private String fields(String sent) throws HL7Exception {
    Message message = generic.parse(sent);
    var said = new StringBuilder();
    for (String name : ((GenericMessage) message).getNames()) {
      for (Structure structure : ((GenericMessage) message).getAll(name)) {
        describe((Segment) structure, said);
      }
    }
    return said.toString();
  }

  private static void describe(Segment segment, StringBuilder said) throws HL7Exception {
    for (int number = 1; number <= segment.numFields(); number++) {
      Type[] repetitions = segment.getField(number);
      for (int repetition = 0; repetition < repetitions.length; repetition++) {
        describe(segment.getName() + "\t" + number + "\t" + repetition, repetitions[repetition], said);
      }
    }
    said.append("\n");
  }

  private static void describe(String place, Type field, StringBuilder said) {
    for (int component = 1; component <= Terser.numComponents(field); component++) {
      for (int part = 1; part <= Terser.numSubComponents(field, component); part++) {
        String value = Terser.getPrimitive(field, component, part).getValue();
        if (value != null && !value.isEmpty()) {
          said.append(place).append("\t").append(component).append("\t").append(part).append("\t");
          said.append(value.replace("\n", "\\n").replace("\t", "\\t")).append("\n");
        }
      }
    }
  }
}
