namespace Kcore.Ctl.Tests;

/// <summary>Answers as the daemon writes them: nulls left out.</summary>
internal static class Samples
{
    public const string Networks = """
        [{"name":"private","type":"vxlan","gatewayIp":"10.250.0.1","internalNetmask":"255.255.255.0","vlan":0,"overlay":true,"bridge":"kbr-private","nodes":3},
         {"name":"lan","type":"bridge","gatewayIp":"192.168.7.1","internalNetmask":"255.255.255.0","vlan":120,"overlay":false,"bridge":"kbr-lan","nodes":1,"newerField":{"x":1}}]
        """;

    public const string Nic = """
        {"name":"web","network":"private","node":"node-a","mac":"52:54:00:01:02:03","address":"10.250.0.2/24","gateway":"10.250.0.1","mtu":1450,"device":"tap-0b9d9f06","bridge":"kbr-private","attachmentId":"0123456789abcdef0123456789abcdef","state":"Ready"}
        """;

    public const string Nodes = """
        [{"id":"aaaaaaaa11111111","name":"node-a","address":"10.0.0.1","status":"alive","role":"leader","vxlanDisabled":false,"networks":1,"version":"0.1.0"},
         {"id":"bbbbbbbb22222222","name":"node-b","address":"10.0.0.2","status":"alive","role":"voter","vxlanDisabled":false,"networks":1,"version":"0.1.0"}]
        """;

    public const string Keys = """
        {"keys":[{"id":"885b6818","generation":0,"state":"retiring","fingerprint":"0011223344556677","retiresAt":"2026-11-22T15:35:32+00:00","heldBy":2,"activeOn":0},
                 {"id":"93ee502d","generation":1,"state":"active","fingerprint":"8899aabbccddeeff","activeSince":"2026-11-21T15:35:32+00:00","heldBy":2,"activeOn":2}],
         "members":[{"node":"node-a","nodeId":"aaaaaaaa11111111","status":"alive","held":["885b6818","93ee502d"],"active":"93ee502d"},
                    {"node":"node-b","nodeId":"bbbbbbbb22222222","status":"dead","held":[]}],
         "notes":["node node-b is dead"]}
        """;

    public const string Neighbours = """
        [{"id":"bbbbbbbb22222222","addresses":["10.0.0.2"],"gossipPort":7946,"fingerprint":"8899aabbccddeeff","sharesKey":false,"clusterId":"0123456789abcdef","sameCluster":false,"heard":"2026-11-21T15:35:32+00:00"}]
        """;

    public const string Receipt = """{"verb":"created","kind":"Network","name":"private","node":"node-a"}""";

    public const string Cluster = """
        {"node":"node-b","clusterId":"c1","epoch":1,"leader":"node-a","term":6,"commit":19,"applied":19,"last":20,"source":"leader","quorum":true,"margin":0,"changing":false,
         "voters":[{"name":"node-a","nodeId":"aaaaaaaa11111111","store":"s1","health":"alive","match":20,"lag":0,"heardMilliseconds":0,"durableMilliseconds":0,"state":"ok"},
                   {"name":"node-b","nodeId":"bbbbbbbb22222222","store":"s2","health":"alive","match":19,"lag":1,"heardMilliseconds":100,"durableMilliseconds":100,"state":"ok"},
                   {"name":"node-c","nodeId":"cccccccc33333333","store":"s3","health":"dead","match":9,"lag":11,"heardMilliseconds":71200,"durableMilliseconds":71200,"state":"silent"}],
         "learners":[{"name":"node-d","nodeId":"dddddddd44444444","store":"s4","health":"alive","match":0,"lag":20,"heardMilliseconds":100,"durableMilliseconds":2000,"state":"installing"}],
         "observers":["node-e","node-f"],"degraded":["voter node-c is silent"]}
        """;

    public const string LostCluster = """
        {"node":"node-b","clusterId":"c1","epoch":1,"term":6,"commit":19,"applied":19,"last":20,"source":"local","quorum":false,"margin":0,"since":"2026-01-02T03:04:05.678901Z","changing":false,
         "voters":[{"name":"node-b","nodeId":"bbbbbbbb22222222","health":"alive"},{"name":"node-c","nodeId":"cccccccc33333333","health":"dead"}],
         "learners":[],"observers":[],"degraded":["no quorum"]}
        """;

    public static string Network(string stateOfB, string healthOfB = "alive", bool withB = true) => $$"""
        {"name":"private","uid":"u1","type":"vxlan","overlay":true,"bridge":"kbr-private","gatewayIp":"10.250.0.1","internalNetmask":"255.255.255.0",
         "networkCidr":"10.250.0.0/24","vlan":0,"outboundNat":true,"allowedTcpPorts":[],"allowedUdpPorts":[53,67],"vni":14416,"vxlanDevice":"vxlan14416",
         "mtu":1450,"addresses":{"size":253,"used":1,"free":252,"next":"10.250.0.3"},"nodes":[
         {"node":"node-a","nodeId":"aaaaaaaa11111111","vtep":"10.0.0.1","state":"Ready","health":"alive"}{{(withB ? $$"""
        ,{"node":"node-b","nodeId":"bbbbbbbb22222222","vtep":"10.0.0.2","state":"{{stateOfB}}","health":"{{healthOfB}}"}
        """ : "")}}],"conflicts":[]}
        """;

    public static string Status(string degraded = "") => $$"""
        {"node":"node-a","nodeId":"aaaaaaaa11111111","version":"0.1.0","phase":"member","clusterId":"c1","clusterEpoch":1,"digest":"00112233aabbccdd","digestDiffers":[],
         "members":[{"name":"node-a","id":"aaaaaaaa11111111","address":"10.0.0.1","status":"alive"},{"name":"node-bb","id":"bbbbbbbb22222222","address":"10.0.0.2","status":"dead"}],
         "consensus":{"role":"leader","leader":"node-a","term":3,"commit":17,"applied":17,"voters":["node-a"],"quorum":true},
         "dataplane":{"networks":1,"nics":2,"lastPass":"2026-01-02T03:04:05.678901Z","lastPassMilliseconds":1.24,"repairs":4,"deletionsHeld":false,"refusals":[]},"degraded":[{{degraded}}]}
        """;

    public static string Problem(string code) =>
        $$"""{"code":"{{code}}","message":"it is so","details":["evidence 1","evidence 2"],"next":"kctl status"}""";
}
