using Kcore.Raft;

namespace Kcore.Daemon.Storage.RaftLog;

/// <summary>The file that makes a directory a store.</summary>
internal static class IdentityFile
{
    public const string Name = "identity";

    private const uint Magic = 0x4449_434B; // "KCID"
    private const byte Version = 1;
    private const int MachineIdBytesMax = 256;
    private const int BodyBytesMax = 1024;

    public static void Write(IFileLayer files, StoreIdentity identity)
    {
        var writer = new FieldWriter();
        writer.U8(Version);
        writer.Id(identity.NodeUid);
        writer.Id(identity.StoreId);
        writer.Id(identity.ClusterId);
        writer.U32(identity.Epoch);
        writer.Text(identity.MachineId);
        SealedFile.Write(files, Name, Magic, writer.Written);
    }

    /// <exception cref="CorruptStoreException">There is one and it can't be read.</exception>
    /// <exception cref="NewerVersionException">A newer version wrote it.</exception>
    public static StoreIdentity? Read(IFileLayer files)
    {
        if (!files.List().Contains(Name))
        {
            return null;
        }

        if (SealedFile.TryRead(files, Name, Magic, BodyBytesMax, out byte[]? body))
        {
            var reader = new FieldReader(body);
            byte version = reader.U8();
            if (version > Version)
            {
                throw new NewerVersionException($"The identity of the Raft store (format {version})");
            }

            var identity = new StoreIdentity(
                reader.Id(), reader.Id(), reader.Id(), reader.U32(), reader.Text(MachineIdBytesMax));
            if (reader.IsAtValidEnd && version == Version)
            {
                return identity;
            }
        }

        throw new CorruptStoreException("The identity file of the Raft store is damaged.");
    }
}
