import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.parser.StrictErrorHandler;
import ca.uhn.fhir.rest.server.RestfulServer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.util.thread.QueuedThreadPool;
import org.hl7.fhir.r4.model.Device;
import org.hl7.fhir.r4.model.DiagnosticReport;
import org.hl7.fhir.r4.model.DomainResource;
import org.hl7.fhir.r4.model.ImagingStudy;
import org.hl7.fhir.r4.model.Observation;
import org.hl7.fhir.r4.model.Organization;
import org.hl7.fhir.r4.model.Patient;
import org.hl7.fhir.r4.model.Practitioner;
import org.hl7.fhir.r4.model.Provenance;
import org.hl7.fhir.r4.model.ServiceRequest;

/**
 * An EMR that speaks FHIR R4: HAPI's server with what it keeps in memory. It plays the receiver in demo and tests.
 *
 * <p>Arguments: the port (0 for any free one) and a file with the bearer token that every request must bring. It
 * listens on loopback alone, and prints {@code ready PORT} when it does.
 */
public final class FhirEmr {
  private static final List<Class<? extends DomainResource>> TYPES = List.of(
      Organization.class, Patient.class, Practitioner.class, ServiceRequest.class, ImagingStudy.class, Device.class,
      Observation.class, DiagnosticReport.class, Provenance.class);

  private FhirEmr() {}

  public static void main(String[] arguments) throws Exception {
    int port = Integer.parseInt(arguments[0]);
    String token = Files.readString(Path.of(arguments[1])).strip();
    Server server = new Server(new QueuedThreadPool(16, 4));
    ServerConnector connector = new ServerConnector(server, 1, 1);
    connector.setHost("127.0.0.1");
    connector.setPort(port);
    server.addConnector(connector);
    ServletContextHandler context = new ServletContextHandler("/");
    context.addServlet(new ServletHolder(fhir(token)), "/fhir/*");
    server.setHandler(context);
    server.start();
    System.out.println("ready " + connector.getLocalPort());
    server.join();
  }

  private static RestfulServer fhir(String token) {
    FhirContext context = FhirContext.forR4();
    context.setParserErrorHandler(new StrictErrorHandler());
    Map<String, Shelf<?>> shelves = new LinkedHashMap<>();
    for (Class<? extends DomainResource> type : TYPES) {
      Shelf<?> shelf = new Shelf<>(context, type);
      shelves.put(type.getSimpleName(), shelf);
    }
    RestfulServer server = new RestfulServer(context);
    server.registerProviders(shelves.values());
    server.registerProvider(new Transactions(context, shelves));
    server.registerInterceptor(new BearerToken(token));
    return server;
  }
}
