using System.Text;
using System.Text.Json;
using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Validation;
using Kcore.Fuzz.Mutators;
using Kcore.Gossip;

namespace Kcore.Fuzz.Targets;

/// <summary>Requests of users: JSON, then the rules for what it says.</summary>
internal static class ApiTargets
{
    public static readonly Func<FuzzTarget>[] All = [Network, Nic];

    private static readonly string[] Words =
    [
        "\"externalIp\":\"10.0.0.9\"", "\"internalNetmask\":\"255.255.0.0\"", "\"vlanId\":7", "\"enableOutboundNat\":true", "\"noOutboundNat\":true", "\"targetNode\":\"x\"",
        "\"name\":\"b\"", "\"type\":\"nat\"", "\"vxlan\"", "\"bridge\"", "\"nat\"", "\"/proc/1/ns/net\"", "\"network\":\"x\"", "\"netns\":\"1\"",
        "\"uplink\":\"eth0\"", "\"publish\":[\"1:a:1\"]", "\"8080:web:80/udp\"", "\"allowedTcpPorts\":[22]",
    ];

    // A network that was accepted must be one that other nodes can read.
    private static FuzzTarget Network() => Request(
        "api-create-network",
        [
            """{"name":"prod","type":"vxlan","gatewayIp":"10.250.0.1","internalNetmask":"255.255.255.0","targetNode":"node-b","addressReuse":"quarantine","emergencyReserve":4}""",
            """{"name":"lan","type":"bridge","externalIp":"203.0.113.7","gatewayIp":"10.0.0.1","vlanId":7,"enableOutboundNat":false,"noOutboundNat":true,"uplink":"eth1"}""",
            """{"name":"lab","gatewayIp":"10.40.0.1","publish":["80:web:8080","53:dns:53/udp"],"allowedTcpPorts":[443],"allowedUdpPorts":[67]}""",
        ],
        bytes =>
        {
            CreateNetworkRequest request = JsonSerializer.Deserialize(bytes, ApiJson.Default.CreateNetworkRequest) ?? throw new JsonException("null");
            (string name, NetworkSpec spec) = NetworkRequest.Check(request);

            // The target is compared with the member that serves the request and never stored.
            NodeId? home = spec.Type == NetworkType.Vxlan ? null : new NodeId(1);
            var claim = new ClaimFact(name, 5, new ClaimStamp(1, new NodeId(1), 2), new ClaimStamp(1, new NodeId(1), 2), spec with { TargetNode = null }) { Home = home };
            CatalogEntry entry = CatalogEntry.Create(new NodeId(1), FactKeys.Claim(name, home), 1, (ushort)FactKind.Claim, EntryFlags.None, FactCodec.Encode(claim));
            return FactCodec.TryDecode(entry, out ClaimFact? read) && read == claim
                ? claim
                : throw new FuzzFailureException($"Accepted as {claim}, read by others as {read}.", bytes);
        });

    private static FuzzTarget Nic() => Request(
        "api-attach-nic",
        [
            """{"name":"web-01","network":"prod","netns":"web","ifname":"eth0","ip":"10.250.0.9","mac":"52:54:00:12:34:56"}""",
            """{"name":"vm_2","network":"prod"}""",
        ],
        bytes =>
        {
            AttachNicRequest request = JsonSerializer.Deserialize(bytes, ApiJson.Default.AttachNicRequest) ?? throw new JsonException("null");
            NicRequest checkedRequest = NicRequest.Check(request);
            var fact = new NicFact(
                1, 2, checkedRequest.Name, checkedRequest.Mac ?? new([2, 0, 0, 0, 0, 1]), checkedRequest.Address, 3, "tap", checkedRequest.Netns, checkedRequest.Ifname, ObjectState.Pending, null);
            CatalogEntry entry = CatalogEntry.Create(new NodeId(1), FactKeys.Nic(1), 1, (ushort)FactKind.Nic, EntryFlags.None, FactCodec.Encode(fact));
            return FactCodec.TryDecode(entry, out NicFact? read) && read == fact
                ? fact
                : throw new FuzzFailureException($"Accepted as {fact}, read by others as {read}.", bytes);
        });

    private static FuzzTarget Request(string name, string[] samples, Func<byte[], object> read) => new(
        name,
        new JsonMutator(Words),
        [.. samples.Select(Encoding.UTF8.GetBytes)],
        read)
    {
        IsRefusal = exception => exception is JsonException or RefusedException,
        Cost = 2,
    };
}
