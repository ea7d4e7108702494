import java.io.ByteArrayInputStream;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.List;
import java.util.Random;
import javax.xml.XMLConstants;
import javax.xml.crypto.dsig.CanonicalizationMethod;
import javax.xml.crypto.dsig.DigestMethod;
import javax.xml.crypto.dsig.Transform;
import javax.xml.crypto.dsig.XMLSignatureFactory;
import javax.xml.crypto.dsig.dom.DOMSignContext;
import javax.xml.crypto.dsig.spec.C14NMethodParameterSpec;
import javax.xml.crypto.dsig.spec.ExcC14NParameterSpec;
import javax.xml.crypto.dsig.spec.TransformParameterSpec;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.transform.OutputKeys;
import javax.xml.transform.TransformerFactory;
import javax.xml.transform.dom.DOMSource;
import javax.xml.transform.stream.StreamResult;
import org.w3c.dom.Document;
import org.w3c.dom.Element;

/**
 * Signs documents with the JDK's javax.xml.crypto: `Sign UNSIGNED_FOLDER OUTPUT_FOLDER KEYS_FOLDER FIRST COUNT`, then
 * as many more as a sixth argument says, each with an ECKeyValue.
 */
public final class Sign {
    private static final String SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol";
    private static final String SAML = "urn:oasis:names:tc:SAML:2.0:assertion";
    private static final String INCLUSIVE_11 = "http://www.w3.org/2006/12/xml-c14n11";
    private static final XMLSignatureFactory FACTORY = XMLSignatureFactory.getInstance("DOM");

    public static void main(String[] arguments) throws Exception {
        Path keys = Path.of(arguments[2]);
        int first = Integer.parseInt(arguments[3]);
        int count = Integer.parseInt(arguments[4]);
        for (int seed = first; seed < first + count + Integer.parseInt(arguments[5]); seed++) {
            String name = String.format("%04d.xml", seed);
            boolean keyValue = seed >= first + count;
            byte[] signed = sign(Files.readAllBytes(Path.of(arguments[0], name)), new Random(seed), keys, keyValue);
            Files.write(Path.of(arguments[1], (keyValue ? "java ECKeyValue-" : "java-") + name), signed);
        }
    }

    private static byte[] sign(byte[] xml, Random random, Path keys, boolean keyValue) throws Exception {
        DocumentBuilderFactory builders = DocumentBuilderFactory.newInstance();
        builders.setNamespaceAware(true);
        builders.setFeature(XMLConstants.FEATURE_SECURE_PROCESSING, true);
        Document document = builders.newDocumentBuilder().parse(new ByteArrayInputStream(xml));
        String drawn = List.of("rsa-2048", "rsa-2048", "rsa-4096", "p256").get(random.nextInt(4));
        String key = keyValue ? "p256" : drawn;
        // One signature: over the ECKeyValue of another, what the JDK digests and what it writes may differ.
        int signed = keyValue ? 0 : random.nextInt(3);
        if (signed != 1) {
            sign((Element) document.getElementsByTagNameNS(SAML, "Assertion").item(0), key, random, keys, keyValue);
        }
        if (signed != 0) {
            sign((Element) document.getElementsByTagNameNS(SAMLP, "Response").item(0), key, random, keys, keyValue);
        }
        StringWriter written = new StringWriter();
        var transformer = TransformerFactory.newInstance().newTransformer();
        transformer.setOutputProperty(OutputKeys.OMIT_XML_DECLARATION, random.nextBoolean() ? "yes" : "no");
        transformer.transform(new DOMSource(document), new StreamResult(written));
        return written.toString().getBytes("UTF-8");
    }

    private static void sign(Element element, String key, Random random, Path keys, boolean keyValue) throws Exception {
        element.setIdAttribute("ID", true);
        String bits = List.of("256", "384", "512").get(random.nextInt(3));
        String family = key.equals("p256") ? "ecdsa" : "rsa";
        String digest = List.of(DigestMethod.SHA256, "http://www.w3.org/2001/04/xmldsig-more#sha384", DigestMethod.SHA512).get(random.nextInt(3));
        var transforms = List.of(FACTORY.newTransform(Transform.ENVELOPED, (TransformParameterSpec) null), transform(random));
        var reference = FACTORY.newReference("#" + element.getAttribute("ID"), FACTORY.newDigestMethod(digest, null), transforms, null, null);
        var info = FACTORY.newSignedInfo(
            method(random),
            FACTORY.newSignatureMethod("http://www.w3.org/2001/04/xmldsig-more#" + family + "-sha" + bits, null),
            List.of(reference));
        var infos = FACTORY.getKeyInfoFactory();
        var certificate = certificate(keys.resolve("test-" + key + ".crt"));
        // An ECKeyValue of the JDK binds the prefix of the Signature to a second namespace, which we refuse.
        var keyInfo = switch (keyValue ? 0 : random.nextInt(family.equals("rsa") ? 3 : 2) + (family.equals("rsa") ? 0 : 1)) {
            case 0 -> infos.newKeyInfo(List.of(infos.newKeyValue(certificate.getPublicKey())));
            case 1 -> null;
            default -> infos.newKeyInfo(List.of(infos.newX509Data(List.of(certificate))));
        };
        // Behind the Issuer, the first element.
        var next = element.getElementsByTagNameNS(SAML, "Issuer").item(0).getNextSibling();
        var context = new DOMSignContext(privateKey(keys.resolve("test-" + key + ".pem"), family.equals("rsa") ? "RSA" : "EC"), element, next);
        context.setDefaultNamespacePrefix((keyValue ? List.of("ds", "dsig") : List.of("ds", "", "dsig")).get(random.nextInt(keyValue ? 2 : 3)));
        context.putNamespacePrefix(CanonicalizationMethod.EXCLUSIVE, "ec");
        FACTORY.newXMLSignature(info, keyInfo).sign(context);
    }

    private static Transform transform(Random random) throws Exception {
        return switch (random.nextInt(4)) {
            case 0 -> FACTORY.newTransform(CanonicalizationMethod.INCLUSIVE, (TransformParameterSpec) null);
            case 1 -> FACTORY.newTransform(INCLUSIVE_11, (TransformParameterSpec) null);
            case 2 -> FACTORY.newTransform(CanonicalizationMethod.EXCLUSIVE, (TransformParameterSpec) prefixes(random));
            default -> FACTORY.newTransform(CanonicalizationMethod.EXCLUSIVE, (TransformParameterSpec) null);
        };
    }

    private static CanonicalizationMethod method(Random random) throws Exception {
        return switch (random.nextInt(4)) {
            case 0 -> FACTORY.newCanonicalizationMethod(CanonicalizationMethod.INCLUSIVE, (C14NMethodParameterSpec) null);
            case 1 -> FACTORY.newCanonicalizationMethod(INCLUSIVE_11, (C14NMethodParameterSpec) null);
            case 2 -> FACTORY.newCanonicalizationMethod(CanonicalizationMethod.EXCLUSIVE, prefixes(random));
            default -> FACTORY.newCanonicalizationMethod(CanonicalizationMethod.EXCLUSIVE, (C14NMethodParameterSpec) null);
        };
    }

    private static ExcC14NParameterSpec prefixes(Random random) {
        return new ExcC14NParameterSpec(List.of(List.of("xs"), List.of("xs", "xsi"), List.of("#default", "foo")).get(random.nextInt(3)));
    }

    private static X509Certificate certificate(Path file) throws Exception {
        try (var stream = Files.newInputStream(file)) {
            return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(stream);
        }
    }

    private static PrivateKey privateKey(Path file, String family) throws Exception {
        String base64 = Files.readString(file).replaceAll("-----[A-Z ]+-----", "").replaceAll("\\s", "");
        return KeyFactory.getInstance(family).generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(base64)));
    }
}
