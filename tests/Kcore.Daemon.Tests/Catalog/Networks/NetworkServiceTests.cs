using System.Net;
using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Networks;
using Kcore.Daemon.Catalog.View;
using Kcore.Gossip;

namespace Kcore.Daemon.Tests.Catalog.Networks;

/// <summary>Creating and deleting on a node that is a cluster of one.</summary>
public sealed class NetworkServiceTests : IAsyncLifetime
{
    private static readonly CreateNetworkRequest Prod = new() { Name = "prod", Type = "vxlan", GatewayIp = "10.88.0.1" };

    private readonly LoneNode _node = new();
    private NetworkService _service = null!;

    private CatalogView View => _node.Catalog.Current.Current.View;

    private ulong Digest => _node.Catalog.Current.Current.Gossip.Digest;

    public async Task InitializeAsync()
    {
        await _node.StartAsync();
        _service = _node.Networks(vxlanDisabled: false);
    }

    [Fact]
    public async Task Whoever_created_a_network_finds_it_at_once_and_creating_it_again_changes_nothing()
    {
        Assert.Equal(new ChangeReceipt("created", "Network", "prod", "node-a"), await _service.CreateAsync(Prod, default));
        Network created = View.Find("prod", _node.Self.Id);
        Assert.Equal(_node.Self.Id, created.Creator);

        Assert.Equal("unchanged", (await _service.CreateAsync(Prod, default)).Verb);
        Assert.Equal(created.Uid, View.Find("prod", _node.Self.Id).Uid);
    }

    [Fact]
    public async Task A_network_created_anew_is_another_one()
    {
        await _service.CreateAsync(Prod, default);
        UInt128 first = View.Find("prod", _node.Self.Id).Uid;
        Assert.Equal("deleted", (await _service.DeleteAsync(" prod ", null, default)).Verb);
        Assert.Empty(View.Networks);

        await _service.CreateAsync(Prod, default);

        Assert.NotEqual(first, View.Find("prod", _node.Self.Id).Uid);
    }

    [Fact]
    public async Task Behaviours_79_96_and_107_a_refused_deletion_leaves_no_trace()
    {
        await _service.CreateAsync(Prod, default);
        ulong before = Digest;

        await RefusedAsync(ErrorCode.InvalidArgument, "default", () => _service.DeleteAsync("default", null, default));
        await RefusedAsync(ErrorCode.NotFound, "absent", () => _service.DeleteAsync("absent", null, default));
        await RefusedAsync(ErrorCode.NotFound, "node-x", () => _service.DeleteAsync("prod", "node-x", default));
        await RefusedAsync(ErrorCode.FailedPrecondition, "single node", () => _service.DeleteAsync("prod", "node-a", default));

        Assert.Equal(before, Digest);
    }

    [Fact]
    public async Task Behaviours_89_to_92_and_107_a_refused_creation_leaves_no_trace()
    {
        await _service.CreateAsync(Prod, default);
        await _service.CreateAsync(Prod with { Name = "overlay", GatewayIp = "10.89.0.1" }, default);
        ulong before = Digest;

        await RefusedAsync(ErrorCode.AlreadyExists, "VNI 13959", () => Create("overlay0", "10.90.0.1"), "'overlay0'", "'overlay'");
        await RefusedAsync(ErrorCode.FailedPrecondition, "10.88.0.0/25", () => Create("other", "10.88.0.9", "255.255.255.128"), "10.88.0.0/24", "'prod'");
        await RefusedAsync(ErrorCode.InvalidArgument, "immutable", () => Create("prod", "10.88.0.2"), "gatewayIp: 10.88.0.1 -> 10.88.0.2");
        await RefusedAsync(ErrorCode.InvalidArgument, "only in case", () => Create("Prod", "10.88.0.1"));
        await RefusedAsync(ErrorCode.NotFound, "node-x", () => _service.CreateAsync(Prod with { TargetNode = "node-x" }, default));

        Assert.Equal(before, Digest);

        Task<ChangeReceipt> Create(string name, string gateway, string? mask = null) =>
            _service.CreateAsync(Prod with { Name = name, GatewayIp = gateway, InternalNetmask = mask }, default);
    }

    [Fact]
    public async Task Behaviour_88_a_disabled_node_makes_no_overlay()
    {
        using NetworkService disabled = _node.Networks(vxlanDisabled: true);

        await RefusedAsync(ErrorCode.FailedPrecondition, "VXLAN is disabled on node node-a", () => disabled.CreateAsync(Prod, default));
    }

    [Fact]
    public async Task Behaviour_94_a_network_in_use_is_not_deleted_and_its_users_are_named()
    {
        await _service.CreateAsync(Prod, default);
        UInt128 network = View.Find("prod", _node.Self.Id).Uid;
        NicFact nic = Said.NicFact(5, network, "web-01", 1, "10.88.0.2");
        await _node.Cluster.PutAsync([new LocalWrite(FactKeys.Nic(5), (ushort)FactKind.Nic, FactCodec.Encode(nic))], default);
        await _node.Catalog.Current.WhenAsync(s => !s.View.Nics.IsEmpty, default).WaitAsync(TimeSpan.FromSeconds(20));

        await RefusedAsync(ErrorCode.FailedPrecondition, "in use", () => _service.DeleteAsync("prod", null, default), "NIC web-01 on node node-a");
    }

    [Fact]
    public async Task Two_creations_of_one_name_at_once_are_one_creation()
    {
        ChangeReceipt[] receipts = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => _service.CreateAsync(Prod, default)));

        Assert.Single(receipts, r => r.Verb == "created");
        Assert.Equal(7, receipts.Count(r => r.Verb == "unchanged"));
    }

    [Fact]
    public async Task A_network_over_the_address_of_a_tunnel_is_refused()
    {
        var host = new NodeFact("node-a", IPAddress.Parse("10.88.0.77"), false, "0.1.0", 1500, "eth0", false);
        await _node.Cluster.PutAsync([new LocalWrite(FactKeys.Node, (ushort)FactKind.Node, FactCodec.Encode(host))], default);
        await _node.Catalog.Current.WhenAsync(s => s.View.Nodes.Count == 1, default).WaitAsync(TimeSpan.FromSeconds(20));

        await RefusedAsync(ErrorCode.FailedPrecondition, "10.88.0.77/32", () => _service.CreateAsync(Prod, default), "10.88.0.0/24", "node-a");
    }

    public async Task DisposeAsync()
    {
        _service.Dispose();
        await _node.DisposeAsync();
    }

    private static async Task RefusedAsync(ErrorCode code, string text, Func<Task> call, params string[] more)
    {
        Problem problem = (await Assert.ThrowsAsync<RefusedException>(call)).Problem;
        Assert.Equal(code, problem.Code);
        Assert.All([text, .. more], t => Assert.Contains(t, problem.Message + string.Join(' ', problem.Details), StringComparison.Ordinal));
    }
}
