using System.Collections.Immutable;
using System.Net;
using Kcore.Daemon.Dataplane;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Observed;
using Kcore.Daemon.Dataplane.Plan;

namespace Kcore.Daemon.Tests.Dataplane;

public sealed class PlannerTests
{
    [Fact]
    public void The_plan_from_an_empty_kernel_is_exactly_this()
    {
        DesiredState desired = DesiredStateBuilder.From(Intents.With(Intents.Prod));

        Assert.Equal(
            """
            ~ sysctl -               net/ipv4/ip_forward 0 -> 1                 (network prod has outbound NAT)
            + nft    kcore           tables inet, bridge with 19 elements       (networks are on this node)
            + link   kbr-prod        bridge mtu 1450 mac 02:6b:00:00:38:7a      (network prod is on this node)
            + link   vxlan14458      vxlan 14458 local 192.0.2.11:4789 mtu 1450 master kbr-prod (network prod is on this node)
            ~ sysctl kbr-prod        net/ipv4/conf/kbr-prod/rp_filter default -> 2 (network prod is on this node)
            ~ sysctl kbr-prod        net/ipv4/conf/kbr-prod/arp_ignore default -> 1 (network prod is on this node)
            ~ sysctl kbr-prod        net/ipv6/conf/kbr-prod/disable_ipv6 default -> 1 (network prod is on this node)
            ~ sysctl vxlan14458      net/ipv6/conf/vxlan14458/disable_ipv6 default -> 1 (network prod is on this node)
            + port   vxlan14458      learning off locked off neigh_suppress on  (network prod is on this node)
            + addr   kbr-prod        10.88.0.1/24                               (network prod is on this node)
            + fdb    vxlan14458      flood -> 192.0.2.12                        (node-b takes part)
            + fdb    vxlan14458      flood -> 192.0.2.13                        (node-c takes part)
            + fdb    vxlan14458      52:54:00:00:00:02 -> 192.0.2.12            (web-02 on node-b)
            + neigh  kbr-prod        10.88.0.11 is 52:54:00:00:00:01            (NIC web-01 on network prod)
            + neigh  kbr-prod        10.88.0.12 is 52:54:00:00:00:02            (web-02 on node-b)
            + link   tap-00000001    tap mtu 1450 master kbr-prod               (NIC web-01 on network prod)
            + port   tap-00000001    learning off locked on neigh_suppress off  (NIC web-01 on network prod)
            + fdb    tap-00000001    52:54:00:00:00:01 static                   (NIC web-01 on network prod)
            ~ sysctl tap-00000001    net/ipv6/conf/tap-00000001/disable_ipv6 default -> 1 (NIC web-01 on network prod)
            Plan: 13 to add, 6 to change, 0 to remove, 0 refused, 0 held back; 0 disruptive.

            """,
            PlanRenderer.Text(Planner.Plan(desired, new ModelKernel().Observe(desired))));
    }

    [Fact]
    public void The_order_of_the_intent_does_not_change_the_plan()
    {
        OverlayIntent other = Other(1);
        DataplaneIntent one = Intents.With(Intents.Prod, other);
        DataplaneIntent two = Intents.With(
            other,
            Intents.Prod with { Peers = [.. Intents.Prod.Peers.Reverse()] });

        Assert.Equal(Text(new ModelKernel(), one), Text(new ModelKernel(), two));
    }

    [Fact]
    public void A_state_that_is_as_it_should_be_needs_no_step()
    {
        ModelKernel kernel = Converged(Intents.With(Intents.Prod));

        Assert.Empty(Plan(kernel, Intents.With(Intents.Prod)).Steps);
    }

    [Fact]
    public void A_moved_MAC_is_one_replace_and_nothing_else_019()
    {
        ModelKernel kernel = Converged(Intents.With(Intents.Prod));
        DataplanePlan plan = Plan(kernel, Intents.With(Intents.Prod with { RemoteNics = [Intents.Remote("web-02", 2, 3)] }));

        DataplaneStep.SetRemoteMac step = Assert.IsType<DataplaneStep.SetRemoteMac>(Assert.Single(plan.Steps));
        Assert.Equal(Intents.Vtep(3), step.Entry.Destination);
        Assert.Equal(Intents.Vtep(2), step.OldDestination);
    }

    [Fact]
    public void A_NIC_that_arrives_from_another_node_keeps_its_bridge_entry_throughout()
    {
        ModelKernel kernel = Converged(Intents.With(Intents.Prod));
        DataplanePlan plan = Plan(kernel, Intents.With(Intents.Prod with
        {
            RemoteNics = [],
            LocalNics = [Intents.Tap("web-01", 1), Intents.Tap("web-02", 2)],
        }));

        Assert.Contains(plan.Steps, s => s is DataplaneStep.SetBridgeEntry { Entry.Port: "tap-00000002" });
        Assert.DoesNotContain(plan.Steps, s => s is DataplaneStep.DeleteBridgeEntry);
        Assert.Contains(plan.Steps, s => s is DataplaneStep.DeleteTunnelEntry { AlsoFromBridge: false });
        Assert.DoesNotContain(plan.Steps, s => s is DataplaneStep.DeleteNeighbour or DataplaneStep.SetNeighbour);
    }

    [Fact]
    public void A_new_tunnel_address_changes_the_device_in_place_017()
    {
        ModelKernel kernel = Converged(Intents.With(Intents.Prod));
        DataplaneIntent intent = Intents.With(Intents.Prod);
        DataplanePlan plan = Plan(kernel, intent with { Self = intent.Self with { Vtep = Intents.Vtep(7) } });

        DataplaneStep.ChangeLink step = Assert.IsType<DataplaneStep.ChangeLink>(Assert.Single(plan.Steps));
        Assert.Equal("local 192.0.2.11 -> 192.0.2.17", PlanRenderer.Line(step).Detail);
    }

    [Fact]
    public void A_peer_that_leaves_takes_only_its_own_entries_014()
    {
        ModelKernel kernel = Converged(Intents.With(Intents.Prod));
        DataplanePlan plan = Plan(kernel, Intents.With(Intents.Prod with { Peers = [new PeerIntent(Intents.Vtep(2), "node-b", Intents.NodeB)] }));

        DataplaneStep.DeleteTunnelEntry step = Assert.IsType<DataplaneStep.DeleteTunnelEntry>(Assert.Single(plan.Steps));
        Assert.Equal(new TunnelEntry("vxlan14458", TunnelEntry.FloodMac, Intents.Vtep(3)), step.Entry);
    }

    [Fact]
    public void Deletions_wait_until_the_catalog_is_known_and_the_filter_keeps_its_members()
    {
        ModelKernel kernel = Converged(Intents.With(Intents.Prod));
        DataplaneIntent nothing = Intents.With() with { VtepMembers = [] };
        DataplaneIntent oneMember = Intents.With(Intents.Prod with { Peers = [] }) with { VtepMembers = [Intents.Vtep(1)] };

        DataplanePlan empty = Plan(kernel, nothing with { Self = nothing.Self with { DeletionsHeldBack = "no peer yet" } });
        DataplanePlan partial = Plan(kernel, oneMember with { Self = oneMember.Self with { DeletionsHeldBack = "no peer yet" } });

        Assert.Empty(empty.Steps);
        Assert.Contains(empty.HeldBack, s => s is DataplaneStep.DeleteLink { Device: "kbr-prod" });
        Assert.Contains(empty.HeldBack, s => s is DataplaneStep.ReplaceNft { Tables: null });
        Assert.Empty(partial.Steps);
        Assert.Equal(2, partial.HeldBack.Length);
        Assert.Contains("held back: no peer yet", PlanRenderer.Text(partial), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("kbr-prod", "bridge", null, "foreign device \"kbr-prod\" of kind bridge has this name")]
    [InlineData("vxlan14458", "veth", null, "foreign device \"vxlan14458\" of kind veth has this name")]
    [InlineData("vx1", "vxlan", 14458u, "vni 14458 used by foreign device \"vx1\"")]
    public void A_foreign_device_in_the_way_is_named_and_left_alone_009(string name, string kind, uint? vni, string reason)
    {
        ModelKernel kernel = new();
        kernel.Foreign.Add(new ForeignLink(name, kind, vni, vni is null ? null : 4789, false, []));
        DataplanePlan plan = Plan(kernel, Intents.With(Intents.Prod, Other(1)));

        Refusal refusal = Assert.Single(plan.Refusals);
        Assert.Equal(("prod", reason), (refusal.Overlay, refusal.Reason));
        Assert.DoesNotContain(plan.Steps, s => s.Origin.Overlay == "prod");
        Assert.Contains(plan.Steps, s => s is DataplaneStep.CreateLink { Device: "kbr-net1" });
        DataplaneStep.ReplaceNft nft = Assert.Single(plan.Steps.OfType<DataplaneStep.ReplaceNft>());
        Assert.Equal(["kbr-net1"], nft.Tables!.Elements["inet bridges"]);
    }

    [Fact]
    public void A_leftover_TAP_is_adopted_and_a_used_one_is_not()
    {
        ModelKernel kernel = new();
        kernel.Foreign.Add(new ForeignLink("tap-00000001", "tun", null, null, IsLooseTap: true, []));
        kernel.Foreign.Add(new ForeignLink("tap-00000005", "tun", null, null, IsLooseTap: false, []));
        DataplaneIntent intent = Intents.With(Intents.Prod with { LocalNics = [Intents.Tap("web-01", 1), Intents.Tap("web-05", 5)] });
        DataplanePlan plan = Plan(kernel, intent);

        Assert.Contains(plan.Steps, s => s is DataplaneStep.ChangeLink { From: null, Device: "tap-00000001" });
        Refusal refusal = Assert.Single(plan.Refusals);
        Assert.Equal(("prod", "web-05", "tap-00000005"), (refusal.Overlay, refusal.Nic, refusal.Device));
        Assert.DoesNotContain(plan.Steps, s => s.Device == "tap-00000005");
    }

    [Fact]
    public void A_missing_namespace_refuses_the_NIC_and_not_the_network()
    {
        ModelKernel kernel = new();
        kernel.MissingNamespaces.Add("/run/netns/web");
        DataplaneIntent intent = Intents.With(Intents.Prod with { LocalNics = [Intents.Netns("web", 4, "/run/netns/web")] });

        Refusal refusal = Assert.Single(Plan(kernel, intent).Refusals);
        Assert.Equal(("prod", "web", "no namespace"), (refusal.Overlay, refusal.Nic, refusal.Reason));
        Assert.DoesNotContain(Plan(kernel, intent).Steps, s => s.Origin.Nic is not null);

        kernel.MissingNamespaces.Clear();
        Run(kernel, intent);
        Assert.Empty(Plan(kernel, intent).Steps);
    }

    [Fact]
    public void A_NIC_that_changes_its_kind_is_made_anew_and_said_to_be_disruptive()
    {
        ModelKernel kernel = Converged(Intents.With(Intents.Prod));
        DataplaneIntent intent = Intents.With(Intents.Prod with { LocalNics = [Intents.Netns("web-01", 1, "/run/netns/web")] });
        DataplanePlan plan = Plan(kernel, intent);

        Assert.Single(plan.Steps, s => s.Disruptive);
        Run(kernel, intent);
        Assert.IsType<Link.Veth>(kernel.Links["tap-00000001"]);
        Assert.Empty(Plan(kernel, intent).Steps);
    }

    [Fact]
    public void Deleting_everything_leaves_nothing_and_restores_the_setting_113()
    {
        ModelKernel kernel = Converged(Intents.With(Intents.Prod, Other(1)));
        Run(kernel, Intents.With());

        NetworkState state = kernel.State;
        Assert.Empty(state.Links);
        Assert.Empty(state.TunnelEntries);
        Assert.Null(state.Nft);
        Assert.Equal(new Sysctl("net/ipv4/ip_forward", "0", null), Assert.Single(state.Sysctls));
    }

    [Fact]
    public void The_opt_out_removes_the_overlays_053()
    {
        ModelKernel kernel = Converged(Intents.With(Intents.Prod));
        DataplaneIntent intent = Intents.With(Intents.Prod);
        Run(kernel, intent with { Self = intent.Self with { VxlanDisabled = true } });

        Assert.Empty(kernel.Links);
        Assert.Null(kernel.State.Nft);
    }

    [Fact]
    public void Applying_the_plan_reaches_the_desired_state_from_any_other()
    {
        for (int seed = 0; seed < 400; seed++)
        {
            Random random = new(seed);
            ModelKernel kernel = new();
            for (int round = 0; round < 4; round++)
            {
                DataplaneIntent intent = RandomIntent(random);
                Run(kernel, intent);
                AssertReached(seed, kernel, intent);
                int damage = random.Next(4);
                for (int i = 0; i < damage; i++)
                {
                    kernel.Damage(random);
                }
            }
        }
    }

    [Fact]
    public void Bridge_by_bridge_the_steps_for_damaged_entries_are_those_of_the_whole_plan()
    {
        int repaired = 0;
        for (int seed = 0; seed < 400; seed++)
        {
            Random random = new(seed);
            DataplaneIntent intent = RandomIntent(random);
            ModelKernel kernel = Converged(intent);
            DesiredState desired = DesiredStateBuilder.From(intent);
            ObservedState last = kernel.Observe(desired);
            if (!Planner.Plan(desired, last).Refusals.IsEmpty)
            {
                continue;
            }

            for (int i = random.Next(4); i >= 0; i--)
            {
                kernel.DamageForwarding(random);
            }

            NetworkState seen = kernel.State;
            string[] parts =
            [
                .. seen.Links.GroupBy(l => l.MasterName ?? l.Name).SelectMany(bridge =>
                    ForwardingSlice.Plan(desired, last, [.. bridge.Select(l => (l, Entries(seen, l.Name)))])!.Steps).Select(s => $"{PlanRenderer.Line(s)}"),
            ];
            Assert.Equal(Planner.Plan(desired, kernel.Observe(desired)).Steps.Select(s => $"{PlanRenderer.Line(s)}").Order(StringComparer.Ordinal), parts.Order(StringComparer.Ordinal));
            repaired += parts.Length;
        }

        Assert.InRange(repaired, 200, int.MaxValue);

        static DeviceForwarding Entries(NetworkState seen, string device) =>
            new([.. seen.TunnelEntries.Where(e => e.Device == device)], [.. seen.BridgeEntries.Where(e => e.Port == device)]);
    }

    [Fact]
    public void A_device_that_is_not_what_it_should_be_is_more_than_its_entries()
    {
        DataplaneIntent intent = Intents.With(Intents.Prod);
        DesiredState desired = DesiredStateBuilder.From(intent);
        ObservedState last = Converged(intent).Observe(desired);
        Link.Vxlan tunnel = last.Owned.Links.OfType<Link.Vxlan>().Single();

        Assert.NotNull(ForwardingSlice.Plan(desired, last, [(tunnel, new DeviceForwarding([], []))]));
        Assert.Null(ForwardingSlice.Plan(desired, last, [(tunnel with { Mtu = 1400 }, new DeviceForwarding([], []))]));
        Assert.Null(ForwardingSlice.Plan(desired, last, [(tunnel with { Name = "vxlan1" }, new DeviceForwarding([], []))]));
    }

    [Fact]
    public void Stopping_after_any_step_and_planning_again_reaches_the_desired_state()
    {
        for (int seed = 0; seed < 60; seed++)
        {
            DataplaneIntent before = RandomIntent(new Random(seed));
            DataplaneIntent after = RandomIntent(new Random(seed + 100_000));
            int length = Plan(Converged(before), after).Steps.Length;
            for (int prefix = 0; prefix <= length; prefix++)
            {
                ModelKernel kernel = Converged(before);
                foreach (DataplaneStep step in Plan(kernel, after).Steps.Take(prefix))
                {
                    kernel.Apply(step);
                }

                Run(kernel, after);
                AssertReached(seed, kernel, after);
            }
        }
    }

    [Fact]
    public void No_step_aims_at_a_foreign_device_in_any_world()
    {
        for (int seed = 0; seed < 2000; seed++)
        {
            Random random = new(seed);
            ModelKernel kernel = new();
            DataplaneIntent intent = RandomIntent(random);
            intent = intent with { Locals = [.. intent.Locals.Where(n => n.Nat is not null)] };
            string[] names = ["kbr-net0", "kbr-net1", "vxlan1000", "vxlan1001", "vx9", "tap-00000001", "tap-00000102", "other"];
            foreach (string name in names.Where(_ => random.Next(3) == 0))
            {
                uint? vni = random.Next(2) == 0 ? (uint)random.Next(1000, 1003) : null;
                kernel.Foreign.Add(new ForeignLink(name, vni is null ? "veth" : "vxlan", vni, vni is null ? null : 4789, false, []));
            }

            DataplanePlan plan = Plan(kernel, intent);
            Assert.True(
                plan.Steps.All(s => !kernel.Foreign.Exists(f => f.Name == s.Device)),
                $"seed {seed}: {PlanRenderer.Text(plan)}");
            // The model fails on EEXIST and on a step aimed at what is not ours.
            foreach (DataplaneStep step in plan.Steps)
            {
                kernel.Apply(step);
            }
        }
    }

    private static OverlayIntent Other(int number) => new()
    {
        Name = $"net{number}",
        Uid = (UInt128)number,
        Vni = (uint)(1000 + number),
        Bridge = $"kbr-net{number}",
        VxlanDevice = $"vxlan{1000 + number}",
        Gateway = new IPAddress([10, 99, (byte)number, 1]),
        PrefixLength = 24,
        OutboundNat = number % 2 == 0,
    };

    private static DataplaneIntent RandomIntent(Random random)
    {
        List<OverlayIntent> overlays = [];
        for (int number = 0; number < 3; number++)
        {
            if (random.Next(4) == 0)
            {
                continue;
            }

            List<RemoteNicIntent> remote = [];
            List<LocalNicIntent> local = [];
            for (int host = 1; host < 6; host++)
            {
                int id = (number * 256) + host;
                switch (random.Next(4))
                {
                    case 0:
                        remote.Add(Intents.Remote($"vm{id}", id, random.Next(2, 5)));
                        break;
                    case 1:
                        local.Add(Intents.Tap($"vm{id}", id));
                        break;
                    case 2:
                        local.Add(Intents.Netns($"vm{id}", id, $"/run/netns/g{random.Next(2)}", $"eth{id}"));
                        break;
                }
            }

            overlays.Add(Other(number) with
            {
                Peers = [.. Enumerable.Range(2, 4).Where(_ => random.Next(2) == 0).Select(n => new PeerIntent(Intents.Vtep(n), $"node{n}", (UInt128)n))],
                RemoteNics = [.. remote],
                LocalNics = [.. local],
                PrefixLength = random.Next(23, 26),
            });
        }

        List<LocalNetworkIntent> locals = [];
        if (random.Next(2) == 0)
        {
            locals.Add(Intents.Lan with { LocalNics = random.Next(2) == 0 ? Intents.Lan.LocalNics : [] });
        }

        if (random.Next(2) == 0)
        {
            locals.Add(Intents.Office with { Uplink = random.Next(2) == 0 ? "eth1" : "eth2" });
        }

        if (random.Next(3) == 0)
        {
            locals.Add(Intents.Tagged);
        }

        DataplaneIntent intent = Intents.With([.. overlays]);
        return intent with
        {
            Locals = [.. locals],
            Self = intent.Self with { Vtep = Intents.Vtep(random.Next(20, 22)), UnderlayMtu = random.Next(2) == 0 ? 1500 : 9000 },
            VtepMembers = [.. Enumerable.Range(1, random.Next(1, 6)).Select(Intents.Vtep)],
        };
    }

    private static void AssertReached(int seed, ModelKernel kernel, DataplaneIntent intent)
    {
        DesiredState desired = DesiredStateBuilder.From(intent);
        NetworkState wanted = desired.State;
        NetworkState reached = kernel.State;
        string at = $"seed {seed}";
        Assert.True(Plan(kernel, intent).IsEmpty, $"{at}: {Text(kernel, intent)}");
        Same(wanted.Links, reached.Links, at);
        Same(wanted.Ports, reached.Ports, at);
        Same(wanted.Addresses, reached.Addresses, at);
        Same(wanted.Uplinks, reached.Uplinks, at);
        Same(wanted.TunnelEntries, reached.TunnelEntries, at);
        Same(wanted.BridgeEntries, reached.BridgeEntries, at);
        Same(wanted.Neighbours, reached.Neighbours, at);
        Assert.Equal(wanted.Nft, reached.Nft);
    }

    private static void Same<T>(ImmutableArray<T> wanted, ImmutableArray<T> reached, string at) =>
        Assert.True(wanted.ToHashSet().SetEquals(reached), $"{at}: wanted {string.Join("; ", wanted)}, reached {string.Join("; ", reached)}");

    private static ModelKernel Converged(DataplaneIntent intent)
    {
        ModelKernel kernel = new();
        Run(kernel, intent);
        return kernel;
    }

    private static void Run(ModelKernel kernel, DataplaneIntent intent)
    {
        foreach (DataplaneStep step in Plan(kernel, intent).Steps)
        {
            kernel.Apply(step);
        }
    }

    private static DataplanePlan Plan(ModelKernel kernel, DataplaneIntent intent)
    {
        DesiredState desired = DesiredStateBuilder.From(intent);
        return Planner.Plan(desired, kernel.Observe(desired));
    }

    private static string Text(ModelKernel kernel, DataplaneIntent intent) => PlanRenderer.Text(Plan(kernel, intent));
}
