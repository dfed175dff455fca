import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.rest.annotation.Transaction;
import ca.uhn.fhir.rest.annotation.TransactionParam;
import ca.uhn.fhir.rest.param.TokenOrListParam;
import ca.uhn.fhir.rest.param.TokenParam;
import ca.uhn.fhir.rest.server.exceptions.InvalidRequestException;
import ca.uhn.fhir.rest.server.exceptions.PreconditionFailedException;
import ca.uhn.fhir.util.ResourceReferenceInfo;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.hl7.fhir.r4.model.Bundle;
import org.hl7.fhir.r4.model.Bundle.BundleEntryComponent;
import org.hl7.fhir.r4.model.Bundle.BundleEntryRequestComponent;
import org.hl7.fhir.r4.model.Bundle.HTTPVerb;
import org.hl7.fhir.r4.model.DomainResource;

/**
 * Transactions of conditional creates and updates (FHIR R4, RESTful API, transaction): all entries are judged before the first is
 * kept, so a refused transaction leaves nothing behind.
 */
public final class Transactions {
  private static final Set<String> PARAMETERS = Set.of("identifier", "_tag", "status");

  private final FhirContext context;
  private final Map<String, Shelf<?>> shelves;

  Transactions(FhirContext context, Map<String, Shelf<?>> shelves) {
    this.context = context;
    this.shelves = shelves;
  }

  /** What becomes of one entry: where it goes, and whether what is there already stays as it is. */
  private record Plan(DomainResource resource, Shelf<?> shelf, String id, boolean isThere, boolean isKept) {}

  @Transaction
  public synchronized Bundle transaction(@TransactionParam Bundle told) {
    if (told.getType() != Bundle.BundleType.TRANSACTION) {
      throw new InvalidRequestException("the bundle is no transaction");
    }
    List<Plan> plans = new ArrayList<>();
    Map<String, String> places = new HashMap<>();
    for (BundleEntryComponent entry : told.getEntry()) {
      Plan plan = planned(entry);
      plans.add(plan);
      places.put(entry.getFullUrl(), plan.shelf().getResourceType().getSimpleName() + "/" + plan.id());
    }
    plans.forEach(plan -> resolve(plan.resource(), places));
    Bundle answer = new Bundle();
    answer.setType(Bundle.BundleType.TRANSACTIONRESPONSE);
    plans.forEach(plan -> answer.addEntry(done(plan)));
    return answer;
  }

  private Plan planned(BundleEntryComponent entry) {
    BundleEntryRequestComponent request = entry.getRequest();
    if (!(entry.getResource() instanceof DomainResource resource) || !shelves.containsKey(resource.fhirType())) {
      throw new InvalidRequestException("a resource of a type that is not kept here");
    }
    Shelf<?> shelf = shelves.get(resource.fhirType());
    String[] url = request.getUrl().split("\\?", 2);
    if (!url[0].equals(resource.fhirType())) {
      throw new InvalidRequestException("the request's URL names another type than its resource's");
    }
    boolean isCreate = request.getMethod() == HTTPVerb.POST;
    if (!isCreate && (request.getMethod() != HTTPVerb.PUT || url.length == 1)) {
      throw new InvalidRequestException("only creates and conditional updates are taken");
    }
    String query = isCreate ? request.getIfNoneExist() : url[1];
    List<? extends DomainResource> found = query == null ? List.of() : matching(shelf, query);
    if (found.size() > 1) {
      throw new PreconditionFailedException("more than one " + resource.fhirType() + " matches");
    }
    boolean isThere = !found.isEmpty();
    String id = isThere ? found.get(0).getIdElement().getIdPart() : shelf.newId();
    return new Plan(resource, shelf, id, isThere, isCreate && isThere);
  }

  private static List<? extends DomainResource> matching(Shelf<?> shelf, String query) {
    Map<String, TokenOrListParam> wanted = new HashMap<>();
    for (String pair : query.split("&")) {
      String[] parts = pair.split("=", 2);
      if (parts.length < 2 || !PARAMETERS.contains(parts[0])) {
        throw new InvalidRequestException("a condition that is not understood here");
      }
      wanted.put(parts[0], tokens(URLDecoder.decode(parts[1], StandardCharsets.UTF_8)));
    }
    return shelf.search(wanted.get("identifier"), wanted.get("status"), wanted.get("_tag"));
  }

  private static TokenOrListParam tokens(String text) {
    int bar = text.indexOf('|');
    String system = bar < 0 ? null : text.substring(0, bar);
    return new TokenOrListParam().add(new TokenParam(system, text.substring(bar + 1)));
  }

  private void resolve(DomainResource resource, Map<String, String> places) {
    for (ResourceReferenceInfo info : context.newTerser().getAllResourceReferences(resource)) {
      String url = info.getResourceReference().getReferenceElement().getValue();
      if (url != null && places.containsKey(url)) {
        info.getResourceReference().setReference(places.get(url));
        info.getResourceReference().setResource(null);
      } else if (url != null && url.startsWith("urn:")) {
        throw new InvalidRequestException("a reference names no entry of the transaction");
      }
    }
  }

  private static BundleEntryComponent done(Plan plan) {
    DomainResource kept = plan.isKept() ? plan.shelf().read(new org.hl7.fhir.r4.model.IdType(plan.id()))
        : plan.shelf().keep(plan.id(), plan.resource());
    BundleEntryComponent entry = new BundleEntryComponent();
    entry.getResponse()
        .setStatus(plan.isThere() ? "200 OK" : "201 Created")
        .setLocation(kept.getIdElement().getValue())
        .setEtag("W/\"" + kept.getMeta().getVersionId() + "\"")
        .setLastModified(kept.getMeta().getLastUpdated());
    return entry;
  }
}
