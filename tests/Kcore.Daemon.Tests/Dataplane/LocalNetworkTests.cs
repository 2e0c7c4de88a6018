using Kcore.Daemon.Dataplane;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Plan;

namespace Kcore.Daemon.Tests.Dataplane;

/// <summary>The plan for networks of one node: nat, bridge, VLAN.</summary>
public sealed class LocalNetworkTests
{
    [Fact]
    public void The_plan_of_a_nat_network_is_exactly_this_010() => Assert.Equal(
        """
        ~ sysctl -               net/ipv4/ip_forward 0 -> 1                 (network lan has outbound NAT)
        + nft    kcore           tables inet, bridge with 14 elements       (networks are on this node)
        + link   kbr-lan         bridge mtu 1500 mac 22:39:d3:f9:79:7a      (network lan is on this node)
        ~ sysctl kbr-lan         net/ipv4/conf/kbr-lan/rp_filter default -> 2 (network lan is on this node)
        ~ sysctl kbr-lan         net/ipv4/conf/kbr-lan/arp_ignore default -> 1 (network lan is on this node)
        ~ sysctl kbr-lan         net/ipv6/conf/kbr-lan/disable_ipv6 default -> 1 (network lan is on this node)
        + addr   kbr-lan         10.99.0.1/24                               (network lan is on this node)
        + link   tap-00000007    tap mtu 1500 master kbr-lan                (NIC vm on network lan)
        + port   tap-00000007    learning off locked on neigh_suppress off  (NIC vm on network lan)
        + fdb    tap-00000007    52:54:00:00:00:07 static                   (NIC vm on network lan)
        ~ sysctl tap-00000007    net/ipv6/conf/tap-00000007/disable_ipv6 default -> 1 (NIC vm on network lan)
        Plan: 6 to add, 5 to change, 0 to remove, 0 refused, 0 held back; 0 disruptive.

        """,
        PlanRenderer.Text(Plan(new ModelKernel(), Intents.Lan)));

    [Fact]
    public void A_bridge_network_has_its_uplink_as_a_port_that_learns_and_no_address_and_no_table_011()
    {
        ModelKernel kernel = Converged(Intents.Office);

        Assert.Equal(new UplinkPort("eth1", "kbr-office", Up: true), Assert.Single(kernel.State.Uplinks));
        Assert.Contains(new PortFlags("eth1", Learning: true, Locked: false, NeighSuppress: false), kernel.State.Ports);
        Assert.Contains(new PortFlags("tap-00000008", Learning: false, Locked: true, NeighSuppress: false), kernel.State.Ports);
        Assert.Empty(kernel.State.Addresses);
        Assert.Null(kernel.State.Nft);
        Assert.Empty(Plan(kernel, Intents.Office).Steps);
    }

    [Theory]
    [InlineData("eth1", true)]
    [InlineData("eth2", false)]
    public void An_uplink_is_given_back_as_it_was_113(string uplink, bool wasUp)
    {
        ModelKernel kernel = Converged(Intents.Office with { Uplink = uplink });
        Assert.True(kernel.Foreign.Single(f => f.Name == uplink).Up);

        Run(kernel);

        Assert.Equal((wasUp, null), (kernel.Foreign.Single(f => f.Name == uplink).Up, kernel.Foreign.Single(f => f.Name == uplink).Master));
        Assert.Empty(kernel.Links);
        Assert.Empty(Plan(kernel).Steps);
    }

    [Fact]
    public void An_uplink_that_lost_its_bridge_or_was_lowered_is_put_back_112()
    {
        ModelKernel kernel = Converged(Intents.Office);
        int at = kernel.Foreign.FindIndex(f => f.Name == "eth1");
        kernel.Foreign[at] = kernel.Foreign[at] with { Up = false };
        Run(kernel, Intents.Office);
        Assert.True(kernel.Foreign[at].Up);

        kernel.Foreign[at] = kernel.Foreign[at] with { Master = null };
        Run(kernel, Intents.Office);
        Assert.Equal("kbr-office", kernel.Foreign[at].Master);
    }

    [Fact]
    public void The_device_of_the_default_route_is_never_made_a_port_087()
    {
        ModelKernel kernel = new();
        kernel.DefaultRouteDevices.Add("eth1");

        DataplanePlan plan = Plan(kernel, Intents.Office);

        Assert.Empty(plan.Steps);
        Refusal refusal = Assert.Single(plan.Refusals);
        Assert.Contains("management", refusal.Reason, StringComparison.Ordinal);
        Assert.True(refusal.Blocks);
    }

    [Fact]
    public void Somebody_elses_port_is_not_taken_and_a_port_somebody_added_is_not_removed_114()
    {
        ModelKernel kernel = new();
        int at = kernel.Foreign.FindIndex(f => f.Name == "eth1");
        kernel.Foreign[at] = kernel.Foreign[at] with { Master = "br0" };
        Assert.Contains("br0", Assert.Single(Plan(kernel, Intents.Office).Refusals).Reason, StringComparison.Ordinal);

        ModelKernel other = Converged(Intents.Lan);
        other.Foreign.Add(new("veth9", "veth", null, null, false, []) { Up = true, Master = "kbr-lan" });
        Assert.Empty(Plan(other, Intents.Lan).Steps);
    }

    [Fact]
    public void A_VLAN_is_made_on_its_parent_and_is_the_bridges_port_008()
    {
        ModelKernel kernel = new();
        string text = PlanRenderer.Text(Plan(kernel, Intents.Tagged));

        Assert.Contains("+ link   eth0.120        vlan 120 on eth0 mtu 1500 master kbr-tagged", text, StringComparison.Ordinal);
        Assert.Contains("+ port   eth0.120        learning on locked off neigh_suppress off", text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_VLAN_whose_parent_is_not_there_fails_the_network_and_makes_nothing()
    {
        ModelKernel kernel = new();
        kernel.Foreign.RemoveAll(f => f.Name == "eth0");
        DataplanePlan plan = Plan(kernel, Intents.Tagged);

        Assert.Empty(plan.Steps);
        Assert.Contains("device eth0, which carries VLAN 120, is not there", Assert.Single(plan.Refusals).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Nat_with_a_VLAN_masquerades_out_of_the_VLAN_device_A19()
    {
        LocalNetworkIntent lan = Intents.Lan with { Vlan = Intents.Tagged.Vlan, Nat = Intents.Lan.Nat! with { Egress = "eth0.120" } };
        DesiredState desired = DesiredStateBuilder.From(Intents.With() with { Locals = [lan] });

        Assert.Equal(["eth0.120 . 10.99.0.0/24"], desired.State.Nft!.Elements["inet nat4"]);
        Link.Vlan vlan = Assert.Single(desired.State.Links.OfType<Link.Vlan>());
        Assert.Null(vlan.Master);
    }

    [Fact]
    public void What_a_port_to_a_physical_network_learns_stays()
    {
        ModelKernel kernel = Converged(Intents.Tagged);
        kernel.Learn("eth0.120", Intents.Mac(99));

        Assert.Empty(Plan(kernel, Intents.Tagged).Steps);
    }

    private static ModelKernel Converged(params LocalNetworkIntent[] networks)
    {
        ModelKernel kernel = new();
        Run(kernel, networks);
        return kernel;
    }

    private static void Run(ModelKernel kernel, params LocalNetworkIntent[] networks)
    {
        foreach (DataplaneStep step in Plan(kernel, networks).Steps)
        {
            kernel.Apply(step);
        }
    }

    private static DataplanePlan Plan(ModelKernel kernel, params LocalNetworkIntent[] networks)
    {
        DesiredState desired = DesiredStateBuilder.From(Intents.With() with { Locals = [.. networks] });
        return Planner.Plan(desired, kernel.Observe(desired));
    }
}
