using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Networks;
using Kcore.Daemon.Catalog.View;

namespace Kcore.Daemon.Tests.Catalog.Networks;

/// <summary>Networks of one node, on a node that is a cluster of one.</summary>
public sealed class LocalNetworkServiceTests : IAsyncLifetime
{
    private static readonly CreateNetworkRequest Lan = new() { Name = "lan", GatewayIp = "10.99.0.1" };

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
    public async Task A_network_without_a_type_is_nat_and_on_this_node_alone_010()
    {
        Assert.Equal(new ChangeReceipt("created", "Network", "lan", "node-a"), await _service.CreateAsync(Lan, default));

        Network lan = Assert.Single(View.LocalNetworks);
        Assert.Equal((NetworkType.Nat, _node.Self.Id, true), (lan.Spec.Type, lan.Home!.Value, lan.Spec.OutboundNat));
        Assert.Empty(View.Networks);
        Assert.Equal("unchanged", (await _service.CreateAsync(Lan with { TargetNode = "node-a" }, default)).Verb);

        Assert.Equal("deleted", (await _service.DeleteAsync("lan", null, default)).Verb);
        Assert.Empty(View.LocalNetworks);
    }

    [Fact]
    public async Task A_node_that_takes_no_part_in_overlays_has_nat_and_bridge_networks_052()
    {
        using NetworkService disabled = _node.Networks(vxlanDisabled: true);

        Assert.Equal("created", (await disabled.CreateAsync(Lan, default)).Verb);
        Assert.Equal("created", (await disabled.CreateAsync(new CreateNetworkRequest { Name = "office", Type = "bridge", GatewayIp = "192.168.7.1", Uplink = "eth1" }, default)).Verb);
    }

    [Fact]
    public async Task Refused_creations_leave_no_trace_107()
    {
        await _service.CreateAsync(Lan with { Publish = ["8080:web:80"] }, default);
        await _service.CreateAsync(new CreateNetworkRequest { Name = "office", Type = "bridge", GatewayIp = "192.168.7.1", Uplink = "eth1" }, default);
        await _service.CreateAsync(new CreateNetworkRequest { Name = "prod", Type = "vxlan", GatewayIp = "10.88.0.1" }, default);
        ulong before = Digest;

        // 91, and the same name as an overlay, which is everywhere.
        await RefusedAsync(ErrorCode.InvalidArgument, "immutable", Lan with { GatewayIp = "10.99.0.2" }, "gatewayIp: 10.99.0.1 -> 10.99.0.2");
        await RefusedAsync(ErrorCode.InvalidArgument, "immutable", Lan with { Type = "vxlan" }, "type: nat -> vxlan");
        await RefusedAsync(ErrorCode.InvalidArgument, "immutable", Lan with { Name = "prod" }, "type: vxlan -> nat");
        await RefusedAsync(ErrorCode.InvalidArgument, "only in case", Lan with { Name = "LAN" });

        // 90, both ways.
        await RefusedAsync(ErrorCode.FailedPrecondition, "10.99.0.0/25", Lan with { Name = "b", InternalNetmask = "255.255.255.128" }, "10.99.0.0/24", "'lan'");
        await RefusedAsync(ErrorCode.FailedPrecondition, "10.88.0.0/24", Lan with { Name = "b", GatewayIp = "10.88.0.1" }, "'prod'");
        await RefusedAsync(ErrorCode.FailedPrecondition, "10.99.0.0/24", new CreateNetworkRequest { Name = "c", Type = "vxlan", GatewayIp = "10.99.0.1" }, "'lan' of node");

        // 47.
        await RefusedAsync(ErrorCode.AlreadyExists, "8080/tcp", Lan with { Name = "b", GatewayIp = "10.98.0.1", Publish = ["8080:x:1"] }, "'lan'");

        // 87.
        await RefusedAsync(ErrorCode.FailedPrecondition, "management", Bridge("b", "eth0"), "default route", "--uplink");
        await RefusedAsync(ErrorCode.FailedPrecondition, "eth9", Bridge("b", "eth9"));
        await RefusedAsync(ErrorCode.FailedPrecondition, "uplink of network 'office'", Bridge("b", "eth1"));

        await RefusedAsync(ErrorCode.InvalidArgument, "only a nat network publishes", Bridge("b", "eth1") with { Publish = ["1:a:1"] });
        await RefusedAsync(ErrorCode.InvalidArgument, "takes no uplink", Lan with { Name = "b", Uplink = "eth1" });
        await RefusedAsync(ErrorCode.NotFound, "node-x", Lan with { Name = "b", TargetNode = "node-x" });

        Assert.Equal(before, Digest);
    }

    [Fact]
    public async Task A_VLAN_may_be_on_the_management_interface()
    {
        await _service.CreateAsync(Bridge("tagged", "eth0") with { VlanId = 120 }, default);

        await RefusedAsync(ErrorCode.FailedPrecondition, "VLAN 120", Bridge("other", "eth0") with { VlanId = 120 });
        Assert.Equal("created", (await _service.CreateAsync(Bridge("other", "eth0") with { VlanId = 121 }, default)).Verb);
    }

    [Fact]
    public async Task The_default_network_is_made_once_with_the_same_uid_and_goes_when_it_is_not_wanted_A7()
    {
        using CancellationTokenSource stop = new();
        Task keeping = _service.KeepDefaultAsync(wanted: true, TimeProvider.System, stop.Token);
        await _node.Catalog.Current.WhenAsync(s => s.View.LocalNetworks.Length == 1, default).WaitAsync(TimeSpan.FromSeconds(20));
        Network first = View.LocalNetworks[0];
        Assert.Equal(("default", NetworkType.Nat, 24), (first.Name, first.Spec.Type, first.Spec.PrefixLength));
        Assert.Contains(first.Spec.Gateway, NetworkService.DefaultGateways());
        await RefusedDeletionAsync(ErrorCode.InvalidArgument, "default");

        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => keeping);
        using CancellationTokenSource again = new();
        keeping = _service.KeepDefaultAsync(wanted: false, TimeProvider.System, again.Token);
        await _node.Catalog.Current.WhenAsync(s => s.View.LocalNetworks.IsEmpty, default).WaitAsync(TimeSpan.FromSeconds(20));
        await again.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => keeping);
    }

    public async Task DisposeAsync()
    {
        _service.Dispose();
        await _node.DisposeAsync();
    }

    private static CreateNetworkRequest Bridge(string name, string uplink) => new() { Name = name, Type = "bridge", GatewayIp = "192.168.8.1", Uplink = uplink };

    private async Task RefusedAsync(ErrorCode code, string text, CreateNetworkRequest request, params string[] more)
    {
        Problem problem = (await Assert.ThrowsAsync<RefusedException>(() => _service.CreateAsync(request, default))).Problem;
        string all = $"{problem.Message} {string.Join(' ', problem.Details)} {problem.Next}";
        Assert.Equal((code, true), (problem.Code, all.Contains(text, StringComparison.Ordinal)));
        Assert.All(more, part => Assert.Contains(part, all, StringComparison.Ordinal));
    }

    private async Task RefusedDeletionAsync(ErrorCode code, string name) =>
        Assert.Equal(code, (await Assert.ThrowsAsync<RefusedException>(() => _service.DeleteAsync(name, null, default))).Problem.Code);
}
