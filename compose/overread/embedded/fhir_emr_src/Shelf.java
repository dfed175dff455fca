import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.rest.annotation.IdParam;
import ca.uhn.fhir.rest.annotation.OptionalParam;
import ca.uhn.fhir.rest.annotation.Read;
import ca.uhn.fhir.rest.annotation.Search;
import ca.uhn.fhir.rest.param.TokenOrListParam;
import ca.uhn.fhir.rest.param.TokenParam;
import ca.uhn.fhir.rest.server.IResourceProvider;
import ca.uhn.fhir.rest.server.exceptions.ResourceNotFoundException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.hl7.fhir.instance.model.api.IBase;
import org.hl7.fhir.r4.model.Coding;
import org.hl7.fhir.r4.model.DomainResource;
import org.hl7.fhir.r4.model.IdType;
import org.hl7.fhir.r4.model.Identifier;
import org.hl7.fhir.r4.model.InstantType;
import org.hl7.fhir.r4.model.PrimitiveType;

/** All resources of one type, every version of each; read, and found by identifier, status and tag. */
public final class Shelf<T extends DomainResource> implements IResourceProvider {
  private final FhirContext context;
  private final Class<T> type;
  private final Map<String, List<T>> versions = new LinkedHashMap<>();

  Shelf(FhirContext context, Class<T> type) {
    this.context = context;
    this.type = type;
  }

  @Override
  public Class<T> getResourceType() {
    return type;
  }

  @Read(version = true)
  public synchronized T read(@IdParam IdType id) {
    List<T> kept = versions.getOrDefault(id.getIdPart(), List.of());
    int version = id.hasVersionIdPart() ? id.getVersionIdPartAsLong().intValue() : kept.size();
    if (version < 1 || version > kept.size()) {
      throw new ResourceNotFoundException(id);
    }
    return kept.get(version - 1);
  }

  @Search
  public synchronized List<T> search(
      @OptionalParam(name = "identifier") TokenOrListParam identifier,
      @OptionalParam(name = "status") TokenOrListParam status,
      @OptionalParam(name = "_tag") TokenOrListParam tag) {
    List<T> found = new ArrayList<>();
    for (List<T> kept : versions.values()) {
      T newest = kept.get(kept.size() - 1);
      if (has(newest, "identifier", identifier) && has(newest, "status", status) && has(newest, "meta.tag", tag)) {
        found.add(newest);
      }
    }
    return found;
  }

  /** Keep a new resource, or a new version where it says something new; return the version that now counts. */
  synchronized T keep(String id, DomainResource told) {
    List<T> kept = versions.computeIfAbsent(id, unknown -> new ArrayList<>());
    if (!kept.isEmpty() && saysTheSame(kept.get(kept.size() - 1), told)) {
      return kept.get(kept.size() - 1);
    }
    T resource = type.cast(told);
    resource.setId(new IdType(type.getSimpleName(), id, String.valueOf(kept.size() + 1)));
    resource.getMeta().setVersionId(String.valueOf(kept.size() + 1)).setLastUpdatedElement(InstantType.now());
    kept.add(resource);
    return resource;
  }

  String newId() {
    return UUID.randomUUID().toString();
  }

  private static boolean saysTheSame(DomainResource kept, DomainResource told) {
    DomainResource plain = kept.copy();
    plain.setIdElement(null);
    plain.getMeta().setVersionIdElement(null).setLastUpdatedElement(null);
    DomainResource other = told.copy();
    other.setIdElement(null);
    return plain.equalsDeep(other) || (plain.getMeta().isEmpty() && plain.setMeta(null).equalsDeep(other));
  }

  private boolean has(T resource, String path, TokenOrListParam wanted) {
    if (wanted == null) {
      return true;
    }
    Collection<IBase> values = valuesAt(resource, path);
    return wanted.getValuesAsQueryTokens().stream()
        .anyMatch(token -> values.stream().anyMatch(value -> says(value, token)));
  }

  private Collection<IBase> valuesAt(T resource, String path) {
    String root = path.substring(0, path.indexOf('.') < 0 ? path.length() : path.indexOf('.'));
    boolean isKnown = context.getResourceDefinition(resource).getChildByName(root) != null
        || context.getResourceDefinition(resource).getChildByName(root + "[x]") != null;
    return isKnown ? context.newTerser().getValues(resource, path) : List.of();
  }

  private static boolean says(IBase value, TokenParam wanted) {
    if (value instanceof Identifier identifier) {
      return matches(wanted, identifier.getSystem(), identifier.getValue());
    }
    if (value instanceof Coding coding) {
      return matches(wanted, coding.getSystem(), coding.getCode());
    }
    return value instanceof PrimitiveType<?> code && code.getValueAsString().equals(wanted.getValue());
  }

  private static boolean matches(TokenParam wanted, String system, String value) {
    return wanted.getValue().equals(value) && (wanted.getSystem() == null || wanted.getSystem().equals(system));
  }
}
